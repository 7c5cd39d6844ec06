package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// ways are ways out, each of which is valid until it is broken.
type ways struct {
	asked  []message.URL
	none   bool
	broken atomic.Bool
	err    error
	posted []message.Message
}

func (w *ways) Way(_, to message.URL) bus.Way {
	w.asked = append(w.asked, to)
	if w.none {
		return nil
	}
	w.broken.Store(false)
	return w
}

func (w *ways) Holds() bool { return !w.broken.Load() }

func (w *ways) TryPost(m message.Message) error { return w.Post(context.Background(), m) }

func (w *ways) Post(_ context.Context, m message.Message) error {
	if w.err == nil {
		w.posted = append(w.posted, m)
	}
	return w.err
}

// follower is alice's handle on a bus whose ways are counted.
type follower struct {
	*testing.T
	ways  ways
	out   outside
	trace trace.Hub
	bus   *bus.MessageBus
	alice *bus.Handle
	n     uint64
}

func newFollower(t *testing.T, w bus.Tracker) *follower {
	f := &follower{T: t}
	f.bus = bus.New(bus.Options{Runtime: home, Trace: &f.trace, Tracker: w})
	f.bus.Connect(bus.Outside{Resolver: &f.out, Forwarder: &f.out, Authority: &f.out, Ways: &f.ways})
	f.alice = f.bus.Handle(alice)
	return f
}

func (f *follower) message(to message.URL) message.Message {
	f.n++
	return message.Message{ID: message.NumberID(f.n), Type: message.Update, From: alice, To: to}
}

// follows posts a message and tells whether it took the remembered way.
func (f *follower) follows(m message.Message) bool {
	f.Helper()
	before := len(f.ways.posted)
	if err := f.alice.Post(f.Context(), &m); err != nil {
		f.Fatal(err)
	}
	return len(f.ways.posted) > before
}

// learn posts to an address until its way is remembered.
func (f *follower) learn(to message.URL) {
	f.Helper()
	for range 3 {
		if f.follows(f.message(to)) {
			return
		}
	}
	f.Fatalf("no way to %s is remembered", to)
}

// With the second message in a row to an address the way is remembered, and the next messages take it.
func TestHandleRemembersAWay(t *testing.T) {
	f := newFollower(t, nil)
	defer f.bus.Close()
	for n := range 5 {
		if got := f.follows(f.message(bob)); got != (n >= 2) {
			t.Errorf("message %d by the way that is remembered: %v", n, got)
		}
	}
	if !slices.Equal(f.ways.asked, []message.URL{bob}) {
		t.Errorf("asked for %v", f.ways.asked)
	}
	if len(f.out.sent) != 2 || f.ways.posted[0].ID != message.NumberID(3) {
		t.Errorf("%d were looked up, the first of the others is %v", len(f.out.sent), f.ways.posted[0])
	}
}

// A way is not used any more as soon as the bus might do something else, and the next one is found.
func TestHandleForgetsAWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFollower(t, nil)
		defer f.bus.Close()
		nothing := func(context.Context, message.Message) {}
		for name, join := range map[string]func() func(){
			"another way": func() func() { f.ways.broken.Store(true); return func() {} },
			"listener":    func() func() { return f.bus.Listen(bob, nothing) },
			"listener apart": func() func() {
				return f.bus.ListenApart(bob, func(context.Context, message.Message, minibus.Receipt) {})
			},
			"subscriber": func() func() { return f.bus.Forward(bob, away) },
		} {
			f.learn(bob)
			stop := join()
			if f.follows(f.message(bob)) {
				t.Errorf("%s: not noticed", name)
			}
			for range 2 { // nor is another one remembered
				if got := f.follows(f.message(bob)); got && name != "another way" {
					t.Errorf("%s: a way past it is remembered", name)
				}
			}
			stop()
			f.learn(bob)
		}
	})
}

// Only a usual message of the component itself takes a remembered way.
func TestHandleLooksAtEveryMessage(t *testing.T) {
	var tracked message.ID
	f := newFollower(t, tracking(func(id message.ID) bool { return id == tracked }))
	defer f.bus.Close()
	f.learn(bob)
	m := func(change func(*message.Message)) message.Message {
		m := f.message(bob)
		change(&m)
		return m
	}
	for name, m := range map[string]message.Message{
		"of a part of the component": m(func(m *message.Message) { m.From += "/part" }),
		"that has crossed a stub":    m(func(m *message.Message) { m.Via = []message.URL{home + "/protostub/2"} }),
		"that is subscribed with":    m(func(m *message.Message) { m.Type = message.Subscribe }),
		"without an id":              m(func(m *message.Message) { m.ID = message.ID{} }),
		"to somebody else":           m(func(m *message.Message) { m.To += "by" }),
	} {
		if f.follows(m) {
			t.Errorf("a message %s went by the way that is remembered", name)
		}
		f.learn(bob)
	}
	tracked = message.NumberID(f.n + 1)
	if f.follows(f.message(bob)) {
		t.Error("a message that somebody asks about went by the way that is remembered")
	}
	stop := f.trace.Watch(func(trace.Event) {}, false)
	if f.follows(f.message(bob)) {
		t.Error("a message that is traced went by the way that is remembered")
	}
	if stop(); !f.follows(f.message(bob)) {
		t.Error("the way was forgotten meanwhile")
	}
	forged := f.message(bob)
	forged.From = bob
	if err := f.alice.Post(t.Context(), &forged); !errors.Is(err, bus.ErrForged) {
		t.Errorf("in another's name: %v", err)
	}
	for range 4 {
		if f.follows(f.message(home + "/sm")) {
			t.Fatal("a message to a component of this runtime has left")
		}
	}
}

// tracking is a Tracker of some messages.
type tracking func(id message.ID) bool

func (w tracking) Receipt(_ message.URL, id message.ID) minibus.Receipt {
	if w(id) {
		return minibus.Receipt{By: taker{}}
	}
	return minibus.Receipt{}
}
func (tracking) Here(r minibus.Receipt) minibus.Receipt { return r }
func (tracking) Refused(*message.Message, error)        {}
func (tracking) Answered(message.URL, *message.Message) {}

type taker struct{}

func (taker) Settled(uint64, uint32, int)                   {}
func (taker) Failed(uint64, uint32, message.Message, error) {}

// If a way is full the caller is told; if it has ended the message takes the next one.
func TestHandleAndAWayThatTakesNothing(t *testing.T) {
	f := newFollower(t, nil)
	defer f.bus.Close()
	f.learn(bob)
	sent := len(f.out.sent)
	f.ways.err = fmt.Errorf("%w: the other side is behind", message.ErrBackpressure)
	m := f.message(bob)
	if err := f.alice.Post(t.Context(), &m); !errors.Is(err, message.ErrBackpressure) || len(f.out.sent) > sent {
		t.Errorf("%d sent another way, error %v", len(f.out.sent)-sent, err)
	}
	f.ways.err = errors.New("the session is closed")
	m = f.message(bob)
	if err := f.alice.Post(t.Context(), &m); err != nil || len(f.out.sent) != sent+1 {
		t.Errorf("%d sent another way, error %v", len(f.out.sent)-sent, err)
	}
}

// Two addresses share a place: the one in it stays while they come in turn, and is replaced by one that comes twice in a row.
func TestHandlePlaces(t *testing.T) {
	f := newFollower(t, nil)
	defer f.bus.Close()
	const one, other message.URL = "hyperty://example.com/1-carl", "hyperty://example.com/2-carl" // the same end, so the same place
	f.learn(one)
	for range 5 {
		if f.follows(f.message(other)) || !f.follows(f.message(one)) {
			t.Fatal("the other has driven the one out, or both are remembered")
		}
	}
	f.learn(other)
	if f.follows(f.message(one)) {
		t.Error("both are remembered in one place")
	}
	for n := range 8 { // numbered ones have places of their own
		f.learn(message.URL(fmt.Sprintf("hyperty://example.com/%d", n)))
	}
	for n := range 8 {
		if !f.follows(f.message(message.URL(fmt.Sprintf("hyperty://example.com/%d", n)))) {
			t.Errorf("number %d is not remembered", n)
		}
	}
	f.ways.none = true
	for range 4 {
		if f.follows(f.message(carol)) {
			t.Fatal("where nothing can be said in advance something is remembered")
		}
	}
}

const carol message.URL = "hyperty://example.com/carol"
