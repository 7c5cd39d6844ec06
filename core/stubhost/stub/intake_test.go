package stub

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/core/stubhost/throttle"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

const (
	burst = 200 * time.Millisecond // of processor time, which a stub may use at once
	share = 8                      // beyond that it may use one part in so many
)

// Frames for nobody are throttled, whichever goroutine reads them, unless they come from a Message Node's stub; others never
// wait.
func TestUselessFramesComeAtAPace(t *testing.T) {
	const count = 100_000
	pace := share * (count*throttle.FrameCost - burst)
	for name, c := range map[string]struct {
		role         sdk.Role
		prompt, want bool
		batch        int
		takes        time.Duration
	}{
		"promptly":          {sdk.RoleHandler, true, false, 1, pace},
		"promptly, batches": {sdk.RoleHandler, true, false, 50, pace},
		"behind":            {sdk.RoleHandler, false, false, 1, pace},
		"behind, batches":   {sdk.RoleHandler, false, false, 50, pace},
		"of a Requester":    {sdk.RoleRequester, true, false, 1, pace},
		"wanted":            {sdk.RoleHandler, true, true, 1, 0},
		"wanted, behind":    {sdk.RoleHandler, false, true, 1, 0},
		"of a node":         {sdk.RoleNode, true, false, 1, 0},
		"of a node, behind": {sdk.RoleNode, false, false, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				came, behind := 0, 0
				o := &Options{Prompt: c.prompt, Frames: func(_ context.Context, _, _ message.URL, frames []sdk.Frame) bool {
					came += len(frames)
					return c.want
				}}
				r := &run{o: o, spec: &Spec{URL: handlerURL, Role: c.role}, ctx: t.Context()}
				in, frames, began := r.intake(handlerURL), make([]sdk.Frame, c.batch), time.Now()
				for range count / c.batch {
					if !c.prompt || !in.prompt(frames) {
						behind++
						in.handle(t.Context(), frames)
					}
				}
				if took := time.Since(began); took < c.takes*99/100 || took > c.takes*101/100 {
					t.Errorf("%d frames took %v, want %v", count, took, c.takes)
				}
				if came != count {
					t.Errorf("%d frames of %d came", came, count)
				}
				if c.prompt && (behind > 0) != (c.takes > 0) {
					t.Errorf("%d batches of frames were not given promptly", behind)
				}
			})
		})
	}
}

// The messages of a stub are throttled, except those of a Message Node's stub.
func TestMessagesComeAtAPace(t *testing.T) {
	const count = 12_000
	for role, takes := range map[sdk.Role]time.Duration{
		sdk.RoleHandler: share * (count*throttle.MessageCost - burst), sdk.RoleRequester: share * (count*throttle.MessageCost - burst), sdk.RoleNode: 0,
	} {
		t.Run(string(role), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				came := 0
				o := &Options{Message: func(context.Context, message.URL, message.Message) error {
					came++
					return nil
				}}
				p := posting{stub: &Stub{Spec: Spec{URL: handlerURL, Role: role}, o: o}, run: spoken(0)}
				p.stub.runs.current = p.run
				m := message.Message{ID: message.NumberID(1), Type: message.Update, From: handlerURL, To: "hyperty-runtime://example.com/r/registry"}
				payload, began := m.AppendBinary(nil), time.Now()
				for range count {
					p.take(t.Context(), payload)
				}
				if took := time.Since(began); took < takes*99/100 || took > takes*101/100 {
					t.Errorf("%d messages took %v, want %v", count, took, takes)
				}
				if came != count {
					t.Errorf("%d messages of %d came", came, count)
				}
			})
		})
	}
}
