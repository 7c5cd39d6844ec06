package watching

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	alice message.URL = "hyperty://a.example/alice"
	bob   message.URL = "hyperty://b.example/bob"
	carol message.URL = "hyperty://b.example/carol"
)

// world is a Watching with a clock.
type world struct {
	*Watching
	t   *testing.T
	now time.Time
}

func newWorld(t *testing.T) *world {
	return &world{t: t, now: time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC), Watching: New(Options{Life: "life", Each: 4, All: 6, Pause: 2 * time.Second,
		Recheck: 10 * time.Minute, Grace: 5 * time.Second, Retry: 5 * time.Second})}
}

// watch has who watch addresses for a minute.
func (w *world) watch(who message.URL, addresses ...message.URL) (begun, left []message.URL) {
	w.t.Helper()
	begun, left, err := w.Watch(w.now, who, addresses, w.now.Add(time.Minute), w.now.Add(30*time.Second))
	if err != nil {
		w.t.Fatal(err)
	}
	return begun, left
}

// reads checks which addresses are to be read now.
func (w *world) reads(want ...message.URL) {
	w.t.Helper()
	if got := w.Due(w.now, 10); fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Fatalf("to be read: %v, want %v", got, want)
	}
}

func (w *world) found(u message.URL, p hyperty.Presence) (told bool) { return w.Took(w.now, u, p) }

func TestAnAddressIsReadOnceForAll(t *testing.T) {
	w := newWorld(t)
	if begun, _ := w.watch(alice, bob); len(begun) != 1 {
		t.Errorf("begun: %v", begun)
	}
	if begun, _ := w.watch(carol, bob); len(begun) > 0 {
		t.Errorf("begun again: %v", begun)
	}
	w.reads(bob)
	w.reads()
	if news := w.News([]message.URL{bob}, 0); news != nil {
		t.Errorf("told before it was read: %v", news)
	}
	if !w.found(bob, hyperty.Presence{State: hyperty.Registered, Runtime: "hyperty-runtime://b.example/r"}) {
		t.Error("the first that is found is no news")
	}
	news, version := w.News([]message.URL{bob}, 0), w.Version()
	if len(news) != 1 || news[0].Address != bob || news[0].Since != w.now || !news[0].Confirmed {
		t.Errorf("%+v", news)
	}
	if news := w.News([]message.URL{bob}, w.After(version)); news != nil {
		t.Errorf("told again: %v", news)
	}
	if w.After("other.1") != 0 || w.After("life.2") != 0 || w.After("") != 0 || w.After("life.x") != 0 {
		t.Error("a version of nobody's is believed")
	}
	if at, ok := w.Next(); !ok || at != w.now.Add(10*time.Minute) {
		t.Errorf("next at %v", at)
	}
}

func TestHintsHaveAnAddressReadSeldom(t *testing.T) {
	w := newWorld(t)
	w.watch(alice, bob)
	w.reads(bob)
	w.Moved(w.now, bob) // while it is read
	w.found(bob, hyperty.Presence{State: hyperty.Gone})
	for range 1000 {
		w.Moved(w.now, bob)
	}
	w.reads()
	w.now = w.now.Add(2 * time.Second)
	w.reads(bob)
	if w.found(bob, hyperty.Presence{State: hyperty.Gone, Since: w.now}) {
		t.Error("nothing has changed")
	}
	w.Moved(w.now, carol) // whom nobody watches
	w.now = w.now.Add(time.Minute)
	w.Moved(w.now, bob)
	w.reads(bob)
}

func TestSince(t *testing.T) {
	w := newWorld(t)
	w.watch(alice, bob)
	begin, r := w.now, message.URL("hyperty-runtime://b.example/r")
	for _, c := range []struct {
		found hyperty.Presence
		after time.Duration // in its first state since
	}{
		{hyperty.Presence{State: hyperty.Registered, Runtime: r, Since: begin.Add(-time.Hour)}, -time.Hour},
		{hyperty.Presence{State: hyperty.Registered, Runtime: r, Since: begin.Add(-time.Minute)}, -time.Hour}, // the same all the time
		{hyperty.Presence{State: hyperty.Away, Since: begin.Add(-time.Minute)}, -time.Minute},
		{hyperty.Presence{State: hyperty.Unknown, Why: "the node is away"}, -time.Minute},
		{hyperty.Presence{State: hyperty.Registered, Runtime: r, Since: begin.Add(-2 * time.Hour)}, time.Hour}, // before the state that it follows
		{hyperty.Presence{State: hyperty.Gone, Since: begin.Add(1000 * time.Hour)}, 2 * time.Hour},
	} {
		w.reads(bob)
		w.found(bob, c.found)
		p := w.News([]message.URL{bob}, 0)[0]
		if c.after > 0 && p.Since != w.now || c.after < 0 && p.Since != begin.Add(c.after) || p.Confirmed != (c.found.State != hyperty.Unknown) {
			t.Errorf("found %+v, told %+v at %v", c.found, p, w.now)
		}
		w.now = w.now.Add(time.Hour)
	}
}

func TestAMessageNodeThatIsAway(t *testing.T) {
	w := newWorld(t)
	w.watch(alice, bob, alice)
	for _, u := range w.Due(w.now, 10) {
		w.found(u, hyperty.Presence{State: hyperty.Registered})
	}
	w.NodeAway(w.now, "b.example")
	w.reads()
	w.now = w.now.Add(5 * time.Second)
	w.reads(bob)
	if !w.found(bob, hyperty.Presence{State: hyperty.Unknown, Why: "away"}) {
		t.Error("it is not told that nobody can be asked")
	}
	if p := w.News([]message.URL{bob}, 0)[0]; p.State != hyperty.Registered || p.Confirmed || p.Why != "away" {
		t.Errorf("%+v", p)
	}
	w.now = w.now.Add(5 * time.Second)
	w.reads(bob)
	if w.found(bob, hyperty.Presence{State: hyperty.Unknown, Why: "away"}) {
		t.Error("told twice")
	}
	w.now = w.now.Add(5 * time.Second)
	w.reads() // the pauses grow
	w.NodeBack(w.now, "b.example", 50)
	w.reads(bob)
	if !w.found(bob, hyperty.Presence{State: hyperty.Registered}) {
		t.Error("it is not told that it is confirmed")
	}
}

func TestWhoLeavesCostsNothing(t *testing.T) {
	w := newWorld(t)
	w.watch(alice, bob, carol)
	w.watch(carol, bob)
	if left := w.Leave(alice); fmt.Sprint(left) != fmt.Sprint([]message.URL{carol}) {
		t.Errorf("left: %v", left)
	}
	w.now = w.now.Add(time.Minute)
	if left := w.Expire(w.now.Add(-1)); left != nil {
		t.Errorf("too early: %v", left)
	}
	if left := w.Expire(w.now); len(left) != 1 || w.Len() != 0 || len(w.count) != 0 {
		t.Errorf("left: %v; %d are watched by %d", left, w.Len(), len(w.count))
	}
	if w.found(bob, hyperty.Presence{State: hyperty.Gone}) {
		t.Error("nobody watches it")
	}
}

func TestLimits(t *testing.T) {
	w := newWorld(t)
	address := func(n int) message.URL { return message.URL(fmt.Sprintf("hyperty://b.example/%d", n)) }
	w.watch(alice, address(0), address(1), address(2), address(3))
	full := func(who message.URL, addresses ...message.URL) {
		t.Helper()
		if _, _, err := w.Watch(w.now, who, addresses, w.now.Add(time.Minute), w.now.Add(30*time.Second)); !errors.Is(err, ErrTooMany) {
			t.Fatalf("%s watches %v: %v", who, addresses, err)
		}
	}
	full(alice, address(4))
	full(bob, address(4), address(5), address(6))
	w.watch(bob, address(4), address(5), address(0))
	full(carol, address(6))
	if w.Len() != 6 || w.count[alice] != 4 || w.count[bob] != 3 || w.count[carol] != 0 {
		t.Errorf("%d watched; %v", w.Len(), w.count)
	}
	w.Rest(alice, address(0), w.now.Add(30*time.Second)) // it does not wait for news any more
	w.Rest(alice, address(1), w.now.Add(30*time.Second))
	w.Rest(bob, address(5), w.now.Add(30*time.Second)) // no room for others
	full(carol, address(7))
	w.Rest(alice, address(2), w.now.Add(30*time.Second))
	begun, left := w.watch(alice, address(1), address(7))
	if fmt.Sprint(begun, left) != fmt.Sprint([]message.URL{address(7)}, []message.URL{address(2)}) || w.Len() != 6 || w.count[alice] != 3 {
		t.Errorf("begun %v, left %v, %d watched, %v", begun, left, w.Len(), w.count)
	}
	if !w.Has(address(1)) || !w.Has(address(7)) || !w.Has(address(0)) {
		t.Error("what is waited for, or watched by another one, made room")
	}
}
