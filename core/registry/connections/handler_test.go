package connections

import (
	"errors"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

func TestAnInvitationBecomesLiveWhenItsDoorIsOpen(t *testing.T) {
	b := begin(t, Options{})
	b.Invited(b.now, low, stub, "alpha")
	c := b.current(low, message.Created)
	if c.Role != sdk.RoleHandler || c.Stub != stub {
		t.Errorf("%+v", c)
	}
	b.Consider(b.now, low, to) // starts no second set-up
	b.must()
	b.HandlerStatus(b.now, low, stub, message.InProgress, "")
	b.HandlerStatus(b.now, low, stub, message.Live, "")
	b.HandlerStatus(b.now, low, stub, message.Live, "") // again
	w := b.must(OpenDoor)[0]
	if b.current(low, message.InProgress); b.Way(low).Live() {
		t.Error("live before its door is open")
	}
	b.Opened(b.now, low, w.Connection.Number, nil)
	b.must(Began)
	if way := b.Way(low); way.Direct.Door != w.Door || way.Direct.Stub != stub {
		t.Errorf("%+v", way)
	}
	b.Opened(b.now, low, w.Connection.Number, errors.New("again"))
	b.must()
}

func TestADoorThatDoesNotOpen(t *testing.T) {
	for name, fails := range map[string]func(b *bench, w Want){
		"refused":          func(b *bench, w Want) { b.Opened(b.now, low, w.Connection.Number, errors.New("no")) },
		"the channel died": func(b *bench, w Want) { b.HandlerStatus(b.now, low, stub, message.Disconnected, "gone") },
		"too late":         func(b *bench, w Want) { b.later(time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			b := begin(t, Options{})
			b.Invited(b.now, low, stub, "alpha")
			b.HandlerStatus(b.now, low, stub, message.InProgress, "")
			b.HandlerStatus(b.now, low, stub, message.Live, "")
			w := b.must(OpenDoor)[0]
			fails(b, w)
			if got := b.must(CloseDoor, Ended, Disconnect)[0].Door; got != w.Door {
				t.Errorf("door %s, want %s", got, w.Door)
			}
			b.current(low, message.Failed)
			b.Opened(b.now, low, w.Connection.Number, nil) // too late
			b.must()
			b.current(low, message.Failed)
		})
	}
}

// When both sides request at once the one with the lower runtime URL stays requester, also a moment after its request has
// succeeded.
func TestGlare(t *testing.T) {
	b := begin(t, Options{})
	b.Consider(b.now, high, to)
	c := b.must(AddRequester, Deploy)[1].Connection
	if got := b.Invited(b.now, high, stub, "alpha"); got != KeepOwn {
		t.Errorf("toward a higher one: %v", got)
	}
	b.says(c, message.InProgress, message.Live)
	b.must(Began)
	b.later(glareTail - 1)
	if got := b.Invited(b.now, high, stub, "alpha"); got != KeepOwn {
		t.Errorf("a moment after it is live: %v", got)
	}
	b.later(1)
	if got := b.Invited(b.now, high, stub, "alpha"); got != Accept {
		t.Errorf("later: %v", got)
	}
	b.must(EndRequester)

	b.Consider(b.now, low, to)
	b.must(AddRequester, Deploy)
	if got := b.Invited(b.now, low, stub, "alpha"); got != Accept {
		t.Errorf("toward a lower one: %v", got)
	}
	b.must(EndRequester)
}

func TestAnEndedConnectionWaitsForItsRequester(t *testing.T) {
	b := begin(t, Options{HandlerGrace: 3 * time.Second})
	c := b.accepted(low)
	b.later(time.Minute)
	b.HandlerStatus(b.now, low, stub, message.Disconnected, "")
	if w := b.must(CloseDoor, Ended)[0]; w.Door != c.Door {
		t.Errorf("%+v", w)
	}
	b.Consider(b.now, low, to) // the other side comes back by itself
	b.must()
	b.later(3*time.Second - 1)
	b.current(low, message.Disconnected)
	b.later(1)
	b.current(low, 0)
	b.Consider(b.now, low, to)
	b.must(AddRequester, Deploy)
}

func TestAPeerComesWithAnotherTransport(t *testing.T) {
	b := begin(t, Options{})
	c := b.accepted(low)
	if got := b.Invited(b.now, low, other, "beta"); got != Accept {
		t.Error(got)
	}
	wants := b.must(Disconnect, CloseDoor)
	if wants[0].Connection.Stub != stub || wants[1].Door != c.Door {
		t.Errorf("%+v", wants)
	}
	if b.HandlerStatus(b.now, low, stub, message.Disconnected, "") {
		t.Error("the old one is heard still")
	}
	if c := b.current(low, message.Created); c.Plugin != "beta" {
		t.Errorf("%+v", c)
	}
}
