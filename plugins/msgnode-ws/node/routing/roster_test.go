package routing

import (
	"testing"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/conn"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/sdk/message"
)

// roster is a roster with room for one connection that has proved nothing, and makes connections of runtimes.
func roster(t *testing.T) (*Roster, func(runtime message.URL, d conn.Dialect) *Client) {
	conns := conn.NewSet(t.Context(), conn.Options{})
	return newRoster(time.Minute, 1), func(runtime message.URL, d conn.Dialect) *Client {
		c := conns.New(quota.Source{}, d)
		c.SetRuntime(runtime)
		return &Client{Conn: c}
	}
}

// A newer connection of a runtime takes the older one's place at once, and keeps it when the older one leaves.
func TestNewerConnectionStays(t *testing.T) {
	r, connect := roster(t)
	older, newer := connect(alice, conn.Binary), connect(alice, conn.Binary)
	now := time.Unix(1000, 0)
	for i, c := range []*Client{older, newer} {
		replaced, ok := r.enter(c, func(replaces bool) bool { return replaces == (i == 1) })
		if !ok || i == 0 && replaced != nil || i == 1 && replaced != older {
			t.Fatalf("%d: %v, it replaces %p", i, ok, replaced)
		}
	}
	if r.Of(alice) != newer || r.numbered(older.ID) != older {
		t.Error("the newer one is not the runtime's, or the older one is not there any more")
	}
	if !r.leave(older, true, now) || r.leave(older, true, now) {
		t.Error("the older one does not leave once")
	}
	if r.Of(alice) != newer || r.Gone(alice, now.Add(time.Hour)) || r.Kept() != 2 {
		t.Errorf("the newer one has gone with it; %d entries are kept", r.Kept())
	}
	if !r.leave(newer, false, now) || r.Kept() != 0 {
		t.Errorf("%d entries are kept of a runtime of which nothing is known", r.Kept())
	}
}

// If there is no free place, a connection gets none, and no other one loses its place.
func TestNoPlace(t *testing.T) {
	r, connect := roster(t)
	first := connect(alice, conn.PlainJSON)
	r.enter(first, func(bool) bool { return true })
	for name, c := range map[string]*Client{"one more that has proved nothing": connect(alice, conn.SessionJSON), "one too many": connect(alice, conn.Binary)} {
		if replaced, ok := r.enter(c, func(bool) bool { return c.Unproved() }); ok || replaced != nil {
			t.Errorf("%s has entered", name)
		}
		if r.leave(c, true, time.Now()) {
			t.Errorf("%s leaves", name)
		}
	}
	if r.Of(alice) != first || !r.FullOfUnproved() {
		t.Error("the first one is not there any more")
	}
	r.leave(first, false, time.Now())
	if r.FullOfUnproved() {
		t.Error("its place is not free")
	}
}

// A runtime is gone when it has been missing for the grace period, and is forgotten an hour later.
func TestMissingRuntimes(t *testing.T) {
	r, connect := roster(t)
	now := time.Unix(1000, 0)
	if r.Gone("hyperty-runtime://example.com/bob", now) || !r.Gone("hyperty-runtime://example.com/bob", now.Add(61*time.Second)) {
		t.Error("one that was never here is not gone a minute after the first question")
	}
	c := connect(alice, conn.Binary)
	r.enter(c, func(bool) bool { return true })
	r.leave(c, true, now)
	if r.Gone(alice, now.Add(59*time.Second)) || !r.Gone(alice, now.Add(61*time.Second)) {
		t.Error("it is not gone after a minute")
	}
	r.enter(c, func(bool) bool { return true })
	if r.Gone(alice, now.Add(time.Hour)) {
		t.Error("it is gone while it is here")
	}
	r.leave(c, true, now)
	r.Forget(now.Add(time.Hour))
	if r.Kept() != 2 {
		t.Errorf("%d are kept after an hour", r.Kept())
	}
	if r.Forget(now.Add(2 * time.Hour)); r.Kept() != 0 {
		t.Errorf("%d are kept for ever", r.Kept())
	}
}
