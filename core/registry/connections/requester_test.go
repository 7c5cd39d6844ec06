package connections

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

func TestARequestBecomesLive(t *testing.T) {
	b := begin(t, Options{})
	b.Consider(b.now, high, to)
	wants := b.must(AddRequester, Deploy)
	c := wants[1].Connection
	if c.Plugin != "alpha" || c.Handler != high.Join("p2phandler", "alpha") || c.Role != sdk.RoleRequester || c.Stub.Runtime() != self || c.State != message.Created {
		t.Errorf("%+v", c)
	}
	b.Consider(b.now, high, to) // another message
	b.must()
	if w := b.Way(high); w.Live() || w.Wake || w.State != message.Created {
		t.Errorf("%+v", w)
	}
	b.says(c, message.InProgress, message.Live)
	b.must(Began)
	if w := b.Way(high); !w.Live() || w.Direct.Door != c.Stub || w.Direct.Remote != high || w.Number != c.Number {
		t.Errorf("%+v", w)
	}
	b.later(time.Hour) // its deadline was cancelled
	b.must()
	b.current(high, message.Live)
}

func TestWhatCannotBe(t *testing.T) {
	b := begin(t, Options{})
	c := b.requested(high)
	b.says(c, message.InProgress)
	var move *MoveError
	if w := b.must(SayIllegal)[0]; !errors.As(w.Err, &move) || move.From != message.Live || move.To != message.InProgress {
		t.Errorf("%v", w.Err)
	}
	if b.RequesterStatus(b.now, high, self.Join("p2prequester", "unknown"), message.Live, "") || b.HandlerStatus(b.now, high, stub, message.Disconnected, "") ||
		b.HandlerStatus(b.now, "hyperty-runtime://example.com/nobody", stub, message.Live, "") {
		t.Error("a stub that has nothing to do with it is heard")
	}
	b.current(high, message.Live)
}

// When one transport fails, the next one is tried at once; when all have failed there is a pause, longer each time.
func TestAllTransportsAndThenAPause(t *testing.T) {
	b := begin(t, Options{Backoff: time.Second, MaxBackoff: 3 * time.Second})
	for _, pause := range []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 3 * time.Second} {
		b.Consider(b.now, high, to)
		c := b.must(AddRequester, Deploy)[1].Connection
		b.now = b.now.Add(time.Second) // it took some time
		b.NotDeployed(b.now, high, c.Number, errors.New("no process"))
		next := b.must(Ended, EndRequester, AddRequester, Deploy)[3].Connection
		if next.Plugin != "beta" || next.Attempts != c.Attempts+1 || !next.Since.Equal(b.now) {
			t.Errorf("%+v after %+v", next, c)
		}
		b.later(DefaultSetup - 1)
		b.must()
		b.later(1)
		b.must(Ended, EndRequester)
		if c := b.current(high, message.Failed); c.Desc != "not live within 15s" {
			t.Errorf("%q", c.Desc)
		}
		b.Consider(b.now.Add(pause-1), high, to)
		b.must()
		if w := b.Way(high); !w.Wake || !w.RetryAt.Equal(b.now.Add(pause)) {
			t.Errorf("%+v, want a retry after %v", w, pause)
		}
		b.later(pause)
	}
}

const DefaultSetup = 15 * time.Second

func TestWhenNothingIsRequested(t *testing.T) {
	for name, o := range map[string]Options{
		"commanded":       {Commanded: true},
		"passive":         {Passive: true},
		"not to be met":   {Connects: func(message.URL) bool { return false }},
		"nothing to with": {Prefer: []string{"gamma"}},
	} {
		b := begin(t, o)
		b.Consider(b.now, high, to)
		if list := b.must(); len(list) > 0 || b.current(high, 0).Number != 0 {
			t.Errorf("%s: %+v", name, list)
		}
	}
}

func TestHandlersAreReadOfWhomNobodyKnowsThem(t *testing.T) {
	const stranger message.URL = "hyperty-runtime://example.com/stranger"
	b := begin(t, Options{})
	b.Consider(b.now, stranger, "comm://example.com/object") // a data object's entry names no Handlers
	b.must()
	b.later(time.Hour)
	b.Consider(b.now, stranger, to)
	if w := b.must(ReadHandlers)[0]; w.Remote != stranger || w.To != to {
		t.Errorf("%+v", w)
	}
	b.Offered(b.now, stranger, b.Handlers(high))
	b.HandlersRead(b.now, stranger)
	b.Consider(b.now, stranger, to)
	b.must(AddRequester, Deploy)
	b.HandlersRead(b.now, "hyperty-runtime://example.com/gone")
	if _, ok := b.peers["hyperty-runtime://example.com/gone"]; ok {
		t.Error("an entry was made for nobody")
	}
}

func TestAConnectionThatBreaksIsMadeAgain(t *testing.T) {
	b := begin(t, Options{ReconnectDelay: 200 * time.Millisecond, Backoff: time.Second})
	first := b.requested(high)
	b.later(time.Minute)
	b.must()
	b.says(first, message.Disconnected)
	b.must(Ended)
	b.later(200*time.Millisecond - 1)
	b.must()
	b.later(1)
	again := b.must(Reconnect)[0].Connection
	if again.Number == first.Number || again.Stub != first.Stub || again.Attempts != 2 || !b.Waits(high, again.Number) || b.Waits(high, first.Number) {
		t.Errorf("%+v after %+v", again, first)
	}
	b.says(again, message.InProgress)
	if b.Waits(high, again.Number) {
		t.Error("it waits although it has begun")
	}
	// A connection that breaks soon after it is live waits longer each time.
	for i, pause := range []time.Duration{200 * time.Millisecond, time.Second, 2 * time.Second} {
		b.says(again, message.Live)
		b.must(Began)
		b.says(again, message.Disconnected)
		b.must(Ended)
		b.later(pause - 1)
		b.must()
		b.later(1)
		if list := b.must(Reconnect); i < 3 {
			again = list[0].Connection
			b.says(again, message.InProgress)
		}
	}
}

func TestSuspect(t *testing.T) {
	b := begin(t, Options{})
	c := b.requested(high)
	b.later(time.Minute)
	b.Suspect(b.now, high, "another door")
	b.Suspect(b.now, "hyperty-runtime://example.com/nobody", c.Door)
	b.must()
	b.Suspect(b.now, high, c.Door)
	b.must(Disconnect, Ended)
	b.Consider(b.now, high, to) // not before the stub has heard "disconnect"
	b.must()
	b.later(time.Second)
	b.must(Reconnect)
}

func TestUse(t *testing.T) {
	b := begin(t, Options{Commanded: true})
	if b.Use(b.now, high, "gamma", "relay") {
		t.Error("over what nobody has")
	}
	if !b.Use(b.now, high, "beta", "relay") {
		t.Fatal("not over beta")
	}
	c := b.must(AddRequester, Deploy)[1].Connection
	b.says(c, message.InProgress, message.Live)
	b.must(Began)
	if !b.Use(b.now, high, "alpha", "relay") {
		t.Fatal("not over alpha")
	}
	c = b.must(Ended, EndRequester, AddRequester, Deploy)[3].Connection
	if c.Plugin != "alpha" {
		t.Errorf("%+v", c)
	}
	if !b.Use(b.now, high, "relay", "relay") || b.Way(high).Live() {
		t.Error("not over the relay")
	}
	list := b.wanted()
	if !slices.ContainsFunc(list, func(w Want) bool { return w.Kind == EndRequester && w.Connection.Number == c.Number }) {
		t.Errorf("%+v", list)
	}
}

func TestWhoMayBeForgotten(t *testing.T) {
	b := begin(t, Options{})
	c := b.requested(high)
	if b.Drop(b.now, high, time.Minute) || !b.Drop(b.now, low, time.Minute) {
		t.Error("forgotten with a connection, or kept without")
	}
	if len(b.peers) != 1 {
		t.Errorf("%d are known", len(b.peers))
	}
	b.says(c, message.Disconnected)
	b.later(time.Millisecond)
	if b.Drop(b.now, high, time.Minute) {
		t.Error("forgotten while it is to be made again")
	}
}

// Whoever watches the connection sees that it is set up again, as another one, and that there is no way by it meanwhile.
func TestAReconnectIsShown(t *testing.T) {
	b := begin(t, Options{ReconnectDelay: 200 * time.Millisecond})
	first := b.requested(high)
	b.later(time.Minute)
	b.says(first, message.Disconnected)
	b.Take()
	b.later(200 * time.Millisecond)
	var got []Kind
	for _, w := range b.Take() {
		if got = append(got, w.Kind); w.Kind == ShowState && (w.Text != "reconnect" || w.Connection.State != message.Created || w.Connection.Number == first.Number) {
			t.Errorf("shown: %+v", w)
		}
	}
	if want := []Kind{RefreshWay, ShowState, Reconnect}; !slices.Equal(got, want) {
		t.Errorf("wants %v, want %v", got, want)
	}
	if w := b.Way(high); w.Live() || w.State != message.Created {
		t.Errorf("%+v", w)
	}
}
