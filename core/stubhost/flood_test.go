//go:build unix

package stubhost_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// asker posts messages without end.
type asker struct{}

func (asker) Run(ctx context.Context, bus message.Bus, s sdk.Start) error {
	for i := uint64(1); ; i++ {
		m := message.Message{ID: message.NumberID(i), Type: message.Update, From: s.URL, To: s.Runtime.Join("registry")}
		if err := bus.Post(ctx, m); err != nil {
			return err
		}
	}
}

// A stub that posts without end is throttled; a Message Node's stub, which brings messages of others, is not. The pace itself
// is tested in stub.TestMessagesComeAtAPace and stub.TestUselessFramesComeAtAPace.
func TestStubsPostInTheirTurn(t *testing.T) {
	t.Parallel()
	for role, x := range map[sdk.Role]struct {
		messages    int
		least, most time.Duration
	}{sdk.RoleHandler: {12_000, 2 * time.Second, time.Minute}, sdk.RoleNode: {60_000, 0, 10 * time.Second}} { // 17 s if throttled
		t.Run(string(role), func(t *testing.T) {
			t.Parallel()
			c := newCore(t, slow)
			began := time.Now()
			c.deployRole(role, "asker")
			c.until("messages", func() bool { return len(c.messages) >= x.messages })
			if took := time.Since(began); took < x.least || took > x.most {
				t.Errorf("%d messages came within %v", x.messages, took)
			}
		})
	}
}

// bringer brings frames without end, one at a time.
type bringer struct{}

func (bringer) Run(ctx context.Context, _ message.Bus, s sdk.Start) error {
	door, err := s.Doors.Open(s.URL)
	for ; err == nil; err = door.Send(ctx, sdk.Frame{Payload: []byte("of nobody")}) {
	}
	return err
}

// Frames for nobody are throttled, whichever goroutine reads them, unless they come from a Message Node's stub.
func TestUselessFramesComeInTurn(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		role         sdk.Role
		prompt, want bool
		frames       int
		least, most  time.Duration
	}{
		"promptly":  {sdk.RoleHandler, true, false, 100_000, 1200 * time.Millisecond, time.Minute},
		"behind":    {sdk.RoleHandler, false, false, 100_000, 1200 * time.Millisecond, time.Minute},
		"wanted":    {sdk.RoleHandler, true, true, 400_000, 0, 10 * time.Second}, // 11 s if throttled
		"of a node": {sdk.RoleNode, true, false, 400_000, 0, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			frames, all := x.frames, make(chan struct{})
			c := newCore(t, func(o *stubhost.Options) {
				slow(o)
				o.Prompt = x.prompt
				o.Frames = func(_ context.Context, _, _ message.URL, f []sdk.Frame) bool {
					if before := frames; before > 0 {
						if frames -= len(f); frames <= 0 {
							close(all)
						}
					}
					return x.want
				}
			})
			began := time.Now()
			c.deployRole(x.role, "bringer")
			<-all
			if took := time.Since(began); took < x.least || took > x.most {
				t.Errorf("%d frames came within %v", x.frames, took)
			}
		})
	}
}

func (c *core) deployRole(role sdk.Role, plugin string) message.URL {
	c.t.Helper()
	in := stubhost.Instance{URL: stubURL(plugin), Runtime: runtimeURL, Role: role}
	if err := c.host.Deploy(c.t.Context(), installed(plugin), in); err != nil {
		c.t.Fatal(err)
	}
	return in.URL
}

// Messages that a stub may not send are counted, and end its process.
func TestForgedMessagesEndThePlugin(t *testing.T) {
	t.Parallel()
	var c *core
	c = newCore(t, func(o *stubhost.Options) {
		slow(o)
		o.Message = func(ctx context.Context, stub message.URL, m message.Message) error {
			if stub == stubURL("asker") {
				return errors.New("not its name")
			}
			return c.message(ctx, stub, m)
		}
	})
	c.deployMisfit("asker", "a message that it may not send")
}

// The core may be waiting for a stub while it handles that stub's message, and then the stub's process ends: that does not
// keep the stub from being started again.
func TestStubThatIsWaitedForIsStartedAgain(t *testing.T) {
	t.Parallel()
	waiting := make(chan struct{}, 1)
	var c *core
	c = newCore(t, func(o *stubhost.Options) {
		quick(o)
		o.PostTimeout = time.Hour
		o.Message = func(ctx context.Context, stub message.URL, m message.Message) error {
			select {
			case waiting <- struct{}{}:
				c.mu.Lock()
				c.change()
				c.mu.Unlock()
				<-ctx.Done()
			default: // it has been started again
				return c.message(ctx, stub, m)
			}
			return nil
		}
	})
	c.deployRole(sdk.RoleHandler, "asker")
	c.until("the first message", func() bool { return len(waiting) == 1 })
	if err := syscall.Kill(c.host.Plugins()[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	c.until("it to run again", func() bool { return len(c.messages) > 0 })
}
