package connections

import (
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// successor is the connection that is set up beside the live one with high.
func (b *bench) successor() Connection {
	b.t.Helper()
	n := b.must(AddRequester, Keep)[1].Connection
	b.Kept(b.now, high, n.Number)
	b.must(Deploy)
	return n
}

func TestTheLiveOneStaysUntilItsSuccessorIsLive(t *testing.T) {
	b := begin(t, Options{})
	old := b.requested(high)
	b.later(time.Minute)
	b.Renew(b.now, "beta")
	b.must()
	b.Renew(b.now, "alpha")
	n := b.successor()
	b.says(n, message.InProgress)
	if w := b.Way(high); w.Number != old.Number || !w.Live() {
		t.Errorf("%+v", w)
	}
	b.says(n, message.Live)
	b.must(Began)
	if w := b.Way(high); w.Number != n.Number || !w.Live() {
		t.Errorf("%+v", w)
	}
	b.later(retireAfter - 1)
	b.must()
	b.later(1)
	if w := b.must(Disconnect)[0]; w.Connection.Number != old.Number {
		t.Errorf("%+v", w)
	}
	b.later(forgetAfter)
	if w := b.must(EndRequester)[0]; w.Connection.Stub != old.Stub {
		t.Errorf("%+v", w)
	}
	b.current(high, message.Live)
}

func TestARenewalThatFailsIsTriedAFewTimes(t *testing.T) {
	b := begin(t, Options{ReconnectDelay: 200 * time.Millisecond})
	old := b.requested(high)
	b.Renew(b.now, "alpha")
	for i := range maxRenewals {
		n := b.successor()
		b.says(n, message.Failed)
		b.must(EndRequester)
		if c := b.current(high, message.Live); c.Number != old.Number {
			t.Errorf("%+v", c)
		}
		b.later(200*time.Millisecond - 1)
		b.must()
		b.later(1)
		if i == maxRenewals-1 {
			b.must()
		}
	}
}

func TestTheOldOneEndsBeforeItsSuccessorIsLive(t *testing.T) {
	b := begin(t, Options{})
	old := b.requested(high)
	b.later(time.Minute)
	b.Renew(b.now, "alpha")
	n := b.successor()
	b.says(old, message.Disconnected)
	b.must()
	if c := b.current(high, message.Created); c.Number != n.Number {
		t.Errorf("%+v", c)
	}
	b.says(n, message.InProgress, message.Live)
	b.wanted()
	b.current(high, message.Live)
}

func TestTheRequestersSideRenews(t *testing.T) {
	b := begin(t, Options{})
	if b.RenewAsked(b.now, low) || b.RenewAsked(b.now, "hyperty-runtime://example.com/stranger") || b.KeepAsked(b.now, "hyperty-runtime://example.com/stranger") {
		t.Error("renewed with nobody")
	}
	if len(b.peers) != 2 {
		t.Error("a stranger is kept")
	}
	c := b.accepted(low)
	b.Renew(b.now, "alpha")
	b.must(AskRenewal)
	if b.RenewAsked(b.now, low) {
		t.Error("renewed by the handler's side")
	}
	if !b.KeepAsked(b.now, low) {
		t.Fatal("it is not kept")
	}
	b.later(DefaultSetup - 1)
	if got := b.Invited(b.now, low, stub, "alpha"); got != AcceptKeep {
		t.Fatal(got)
	}
	b.must()
	// Of two connections over one Handler a status is about the new one, except for the end of the old one.
	b.HandlerStatus(b.now, low, stub, message.InProgress, "")
	b.HandlerStatus(b.now, low, stub, message.Live, "")
	w := b.must(OpenDoor)[0]
	b.Opened(b.now, low, w.Connection.Number, nil)
	if closed := b.must(CloseDoor, Began)[0]; closed.Door != c.Door {
		t.Errorf("%+v", closed)
	}
	if got := b.current(low, message.Live); got.Door != w.Door {
		t.Errorf("%+v", got)
	}
	if got := b.Invited(b.now, low, stub, "alpha"); got != Accept {
		t.Errorf("kept twice: %v", got)
	}
}

func TestRenewalIsAskedForWhileItIsBeingSetUp(t *testing.T) {
	b := begin(t, Options{})
	b.Consider(b.now, high, to)
	c := b.must(AddRequester, Deploy)[1].Connection
	if !b.RenewAsked(b.now, high) {
		t.Fatal("refused")
	}
	b.must()
	b.says(c, message.InProgress, message.Live)
	b.must(Began, AddRequester, Keep)
}
