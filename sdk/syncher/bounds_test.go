package syncher

import (
	"fmt"
	"testing"

	"github.com/protofly/protofly/sdk/message"
)

// An application that invites everybody gets an error when there are too many, and keeps nothing of those.
func TestInvitedAreBounded(t *testing.T) {
	in(t, ok, func(h *house) {
		r := &Reporter{s: h.Syncher, url: theirs, invited: make(map[message.URL]struct{})}
		stranger := func(n int) message.URL { return message.URL(fmt.Sprintf("hyperty://stranger.example/%d", n)) }
		var list []message.URL
		for n := range maxInvited + 1 {
			list = append(list, stranger(n))
		}
		if err := r.Invite(h.ctx, list...); err == nil || len(r.invited) != 0 {
			t.Errorf("a list that is too long: %v, %d are kept", err, len(r.invited))
		}
		if err := r.Invite(h.ctx, list[:maxInvited]...); err != nil {
			t.Fatal(err)
		}
		for n := range 100 {
			if err := r.Invite(h.ctx, stranger(maxInvited+n)); err == nil {
				t.Fatalf("one more is invited, of %d", len(r.invited))
			}
		}
		if len(r.invited) != maxInvited {
			t.Errorf("%d are kept", len(r.invited))
		}
		if err := r.Invite(h.ctx, list[7], list[7]); err != nil {
			t.Errorf("one that was invited before: %v", err)
		}
	})
}

// An application that observes whatever it is invited to keeps a bounded number of objects.
func TestObservedAreBounded(t *testing.T) {
	in(t, whole(1, `{}`), func(h *house) {
		for n := range maxObserved {
			h.observers[message.URL(fmt.Sprintf("comm://stranger.example/%d", n))] = &Observer{s: h.Syncher, wake: make(chan struct{}, 1)}
		}
		if _, err := h.Observe(h.ctx, theirs); code(err) != message.CodeTooMany || len(h.observers) != maxObserved {
			t.Errorf("one more: %v, of %d", err, len(h.observers))
		}
	})
}
