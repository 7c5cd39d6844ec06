package strangers

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/paths"
	"github.com/protofly/protofly/sdk/message"
)

var (
	alice, bob = message.URL("hyperty-runtime://a.example/alice"), message.URL("hyperty-runtime://b.example/bob")
	relay      = paths.Path{Door: "hyperty-runtime://a.example/alice/protostub/node", Stub: "hyperty-runtime://a.example/alice/protostub/node"}
	direct     = paths.Path{Door: "hyperty-runtime://a.example/alice/p2prequester/1", Stub: "hyperty-runtime://a.example/alice/p2prequester/1", Direct: true}
)

// TestCookies: a cookie is one runtime's, by one path, for a while.
func TestCookies(t *testing.T) {
	var c cookies
	now := time.Second
	mine := c.of(alice, relay, now)
	for _, one := range []struct {
		remote message.URL
		path   paths.Path
		at     time.Duration
		good   bool
	}{
		{alice, relay, now, true},
		{bob, relay, now, false},
		{alice, direct, now, false},
		{alice, relay, now + cookieTime, true},
		{alice, relay, now + 2*cookieTime, false},
	} {
		if good := c.good(mine, one.remote, one.path, one.at); good != one.good {
			t.Errorf("%+v: %v", one, good)
		}
	}
	if c.good(make([]byte, handshake.CookieSize), alice, relay, time.Hour) || c.good(nil, alice, relay, time.Hour) {
		t.Error("no cookie counted as one")
	}
	whole := handshake.Cover(mine, handshake.StepFirst, []byte("rest"))
	if step, m, said, ok := handshake.Uncover(whole); !ok || step != handshake.StepFirst || string(m) != "rest" || !bytes.Equal(said, mine) {
		t.Errorf("uncovered %d %q %x %v", step, m, said, ok)
	}
	for _, bad := range [][]byte{nil, whole[:1+handshake.CookieSize], handshake.Cover(mine, handshake.StepThird, nil), handshake.Cover(mine, handshake.StepWithCookie, nil), make([]byte, handshake.MaxHello+1)} {
		if _, _, _, ok := handshake.Uncover(bad); ok {
			t.Errorf("%x counted as a hello", bad)
		}
	}
}

// TestPool: a path that brings many handshakes drives out its own alone.
func TestPool(t *testing.T) {
	var p pool
	add := func(n int, path paths.Path) *Pending {
		one := &Pending{Remote: message.URL(fmt.Sprint("hyperty-runtime://a/", n)), Path: path}
		p.add(one, time.Duration(n)+1)
		return one
	}
	honest := add(0, direct)
	for n := range 3 * MaxPending {
		add(n, relay)
	}
	if p.count != MaxPending || len(p.of(honest.Remote, func(one *Pending) bool { return one == honest })) != 1 {
		t.Errorf("%d kept, the honest one among them: %v", p.count, p.by[honest.Remote])
	}
	for range 2 * MaxPendingOf { // of one runtime by one path
		add(0, direct)
	}
	if n := len(p.of(honest.Remote, func(one *Pending) bool { return one.Path == direct })); n != MaxPendingOf {
		t.Errorf("%d of one runtime by one path", n)
	}
	p.forget(honest.Remote)
	if n := len(p.by[honest.Remote]); n != 0 {
		t.Errorf("%d left of a runtime that is to be forgotten", n)
	}
	if p.expire(time.Hour); p.count != 0 || len(p.by) != 0 || len(p.paths) != 0 {
		t.Errorf("%d left: %d runtimes, %d paths", p.count, len(p.by), len(p.paths))
	}
}

// TestAllowance: what one stub brings uses up nothing of another's.
func TestAllowance(t *testing.T) {
	var a allowance
	at := time.Now()
	taken := 0
	for range 10_000 {
		if a.take("greedy", at) {
			taken++
		}
	}
	if taken != handshakesAll+handshakesStub {
		t.Errorf("%d were computed on at once", taken)
	}
	for n := range handshakesStub + 1 {
		if ok := a.take("modest", at); ok != (n < handshakesStub) {
			t.Errorf("number %d of another stub: %v", n, ok)
		}
	}
	for n := range 10 * maxStubs {
		a.take(message.URL(fmt.Sprint(n)), at)
	}
	if len(a.by) > maxStubs {
		t.Errorf("%d stubs are kept", len(a.by))
	}
	if !a.take("late", at.Add(time.Minute)) || a.by["late"] == nil {
		t.Error("stubs that were quiet make no room")
	}
}
