package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/message"
)

// step is one numbered step of the two figures of the P2P message delivery, as it was observed.
type step struct {
	Figure string  `json:"figure"`
	Step   int     `json:"step"`
	Side   string  `json:"side"`
	From   string  `json:"from"`
	To     string  `json:"to"`
	Type   string  `json:"type"`
	Value  string  `json:"value"`
	AtMS   float64 `json:"at_ms"`
}

// nodeEvent is what a Message Node writes about a frame or message that it routed.
type nodeEvent struct {
	At   time.Time `json:"at"`
	Kind string    `json:"kind"` // "in" or "out"
	From string    `json:"from"` // runtimes
	To   string    `json:"to"`
	Hash string    `json:"hash"`
}

// observed is everything that was seen while the messages ran. Alice requests, Bob handles.
type observed struct {
	alice, bob         []trace.Event
	node               []nodeEvent
	aliceURL, bobURL   message.URL // runtimes
	start              time.Time
	requester, handler message.URL // stubs, found in alice's events
	door               message.URL // the p2p-connectionUrl
}

// steps finds the figures' steps in what was observed. Each step is looked for by what it is, wherever it happened:
// nothing here makes up an order. A step that was not observed is not in the list.
func (o *observed) steps() []step {
	for _, e := range o.alice {
		if e.Kind == trace.Post && e.Type == message.Create && within(e.To, o.bobURL, "/p2phandler/") {
			o.handler = e.To
			break
		}
	}
	for _, e := range o.alice {
		if e.Kind == trace.Status && within(e.From, o.aliceURL, "/p2prequester/") {
			o.requester = e.From
			break
		}
	}
	for _, e := range o.bob {
		if e.Kind == trace.Door {
			o.door = e.Via
			break
		}
	}
	found := append(o.setup(), o.registration()...)
	slices.SortStableFunc(found, func(a, b step) int {
		if c := cmp.Compare(b.Figure, a.Figure); c != 0 { // "setup" before "registration"
			return c
		}
		return cmp.Compare(a.AtMS, b.AtMS)
	})
	return found
}

func within(u, runtime message.URL, part string) bool {
	return u.Within(runtime) && strings.Contains(string(u), part)
}

// finder collects the steps of one figure.
type finder struct {
	o      *observed
	figure string
	found  []step
}

// first adds the step for the first event that matches, at or after the one before it, and returns that event.
func (f *finder) first(number int, side string, events []trace.Event, match func(trace.Event) bool) (trace.Event, bool) {
	i := slices.IndexFunc(events, match)
	if i < 0 {
		return trace.Event{}, false
	}
	f.add(number, side, events[i])
	return events[i], true
}

func (f *finder) add(number int, side string, e trace.Event) {
	to := e.To
	if to == "" {
		to = e.Via
	}
	from := e.From
	if from == "" {
		from = e.Peer
	}
	value := e.Value
	if value == "" {
		value = e.Body
	}
	kind := ""
	if e.Type.Valid() {
		kind = e.Type.String()
	}
	f.put(number, side, string(from), string(to), kind, value, e.At)
}

func (f *finder) put(number int, side, from, to, kind, value string, at time.Time) {
	f.found = append(f.found, step{Figure: f.figure, Step: number, Side: side, From: from, To: to, Type: kind, Value: value,
		AtMS: float64(at.Sub(f.o.start).Microseconds()) / 1000})
}

// is matches a message event.
func is(kind trace.Kind, t message.Type, from, to func(message.URL) bool) func(trace.Event) bool {
	return func(e trace.Event) bool { return e.Kind == kind && e.Type == t && from(e.From) && to(e.To) }
}

func anywhere(message.URL) bool { return true }

func exactly(u message.URL) func(message.URL) bool {
	return func(other message.URL) bool { return u != "" && u.Canonical() == other.Canonical() }
}

// setup finds the figure "P2P Connection Setup".
func (o *observed) setup() []step {
	f := &finder{o: o, figure: "setup"}
	handler, requester := exactly(o.handler), exactly(o.requester)
	f.first(1, "alice", o.alice, is(trace.Post, message.Create, requester, exactly(o.aliceURL.Join("sm"))))
	f.first(2, "alice", o.alice, is(trace.Post, message.Create, anywhere, handler))
	f.first(3, "alice", o.alice, is(trace.Resolve, message.Create, anywhere, handler))
	f.first(4, "alice", o.alice, func(e trace.Event) bool { return e.Kind == trace.Connecting && handler(e.To) })
	f.first(5, "alice", o.alice, func(e trace.Event) bool { return e.Kind == trace.Deploy && handler(e.To) })
	f.first(6, "alice", o.alice, is(trace.Resolved, message.Create, anywhere, handler))
	if e, ok := f.first(7, "alice", o.alice, is(trace.Forward, message.Create, anywhere, handler)); ok {
		o.relayed(f, e)
	}
	f.first(10, "bob", o.bob, is(trace.Arrive, message.Create, anywhere, handler))
	f.first(11, "bob", o.bob, is(trace.Deliver, message.Create, anywhere, handler))
	f.first(12, "bob", o.bob, func(e trace.Event) bool {
		return e.Kind == trace.Status && handler(e.From) && e.Value == message.Created.String()
	})
	f.first(13, "bob", o.bob, func(e trace.Event) bool {
		return e.Kind == trace.Connection && e.Peer == o.aliceURL && e.Value == message.Created.String()
	})
	f.first(14, "bob", o.bob, is(trace.Post, message.Subscribe, handler, exactly(o.bobURL.Join("sm"))))
	o.synchronised(f)
	return f.found
}

// carries matches the frame that carried the message of event e out of the same door.
func carries(e trace.Event) func(trace.Event) bool {
	return func(frame trace.Event) bool {
		return frame.Kind == trace.Frame && frame.Via == e.Via && frame.ID == e.ID && frame.Type == e.Type &&
			frame.From == e.From && frame.To == e.To
	}
}

// relayed finds the frame that carried the message of event e: out of alice's runtime, into the node and out of it.
func (o *observed) relayed(f *finder, e trace.Event) {
	i := slices.IndexFunc(o.alice, carries(e))
	if i < 0 {
		return
	}
	sent := o.alice[i]
	for _, n := range o.node {
		if n.Hash != sent.Value || n.Hash == "" {
			continue
		}
		if n.Kind == "in" {
			f.put(8, "alice", string(sent.Via), n.From, "frame", n.Hash, n.At)
		} else {
			f.put(9, "node", n.From, n.To, "frame", n.Hash, n.At)
		}
	}
}

// synchronised finds the messages that carried the two Connection objects' values, on both sides, until each side
// was live.
func (o *observed) synchronised(f *finder) {
	for side, events := range map[string][]trace.Event{"alice": o.alice, "bob": o.bob} {
		for _, e := range events {
			if e.Kind == trace.Connection && e.Value == message.Live.String() {
				break
			}
			object := e.From.Scheme() == message.SchemeConnection
			if e.Kind == trace.Arrive && object && (e.Type == message.Response || e.Type == message.Update) {
				f.add(15, side, e)
			}
		}
	}
}

// registration finds the figure "P2P Connection Registration for Handler".
func (o *observed) registration() []step {
	f := &finder{o: o, figure: "registration"}
	handler, door := exactly(o.handler), exactly(o.door)
	ours, theirs := o.bobURL.Join("registry"), o.aliceURL.Join("registry")
	subscribes := func(kind trace.Kind, to message.URL) func(trace.Event) bool {
		return is(kind, message.Subscribe, exactly(ours), exactly(to))
	}
	f.first(1, "bob", o.bob, func(e trace.Event) bool {
		return e.Kind == trace.Status && handler(e.From) && e.Value == message.Live.String()
	})
	f.first(2, "bob", o.bob, func(e trace.Event) bool { return e.Kind == trace.Door })
	f.first(3, "bob", o.bob, func(e trace.Event) bool { return e.Kind == trace.Listener && door(e.To) })
	asked, ok := f.first(4, "bob", o.bob, subscribes(trace.Post, o.handler))
	f.first(5, "bob", o.bob, subscribes(trace.Deliver, o.handler))
	if ok { // the Handler's answer says that its MiniBus listens
		f.first(6, "bob", o.bob, func(e trace.Event) bool {
			return is(trace.Post, message.Response, handler, exactly(ours))(e) && e.ID == asked.ID
		})
	}
	f.first(7, "bob", o.bob, func(e trace.Event) bool {
		return e.Kind == trace.Connection && e.Peer == o.aliceURL && e.Value == message.Live.String()
	})
	changes, ok := f.first(8, "bob", o.bob, subscribes(trace.Post, theirs))
	if ok {
		o.follow(f, changes, theirs)
	}
	return f.found
}

// follow finds how bob's registry subscribed to the changes of alice's (steps 9 to 18).
func (o *observed) follow(f *finder, asked trace.Event, theirs message.URL) {
	door, requester := exactly(o.door), exactly(o.requester)
	same := func(kind trace.Kind, t message.Type) func(trace.Event) bool {
		return func(e trace.Event) bool {
			return e.Kind == kind && e.Type == t && e.ID == asked.ID &&
				(t == message.Subscribe && e.To == asked.To || t == message.Response && e.From == asked.To)
		}
	}
	if e, ok := f.first(9, "bob", o.bob, func(e trace.Event) bool {
		return same(trace.Forward, message.Subscribe)(e) && door(e.Via)
	}); ok && o.direct(f, 10, e, o.bob, o.alice, "bob", "alice", requester) {
		f.first(11, "alice", o.alice, same(trace.Arrive, message.Subscribe)) // out of the frame of step 10
	}
	f.first(12, "alice", o.alice, same(trace.Deliver, message.Subscribe))
	f.first(13, "alice", o.alice, func(e trace.Event) bool {
		return e.Kind == trace.Listener && e.To == theirs.Join("changes")
	})
	f.first(14, "alice", o.alice, same(trace.Post, message.Response))
	if e, ok := f.first(15, "alice", o.alice, func(e trace.Event) bool {
		return same(trace.Forward, message.Response)(e) && requester(e.Via)
	}); ok {
		o.direct(f, 16, e, o.alice, o.bob, "alice", "bob", door)
	}
	f.first(17, "bob", o.bob, same(trace.Arrive, message.Response))
	f.first(18, "bob", o.bob, func(e trace.Event) bool {
		return e.Kind == trace.Listed && e.Peer == o.aliceURL && door(e.Via)
	})
}

// direct finds the frame that carried the message of event e over the P2P channel, where it left and where it came in,
// by the door out. It tells whether it has.
func (o *observed) direct(f *finder, number int, e trace.Event, here, there []trace.Event, from, to string, out func(message.URL) bool) bool {
	i := slices.IndexFunc(here, carries(e))
	if i < 0 {
		return false
	}
	j := slices.IndexFunc(there, func(frame trace.Event) bool {
		return frame.Kind == trace.FrameIn && frame.Value == here[i].Value && out(frame.Via)
	})
	if j < 0 {
		return false
	}
	f.add(number, from, here[i])
	f.add(number, to, there[j])
	return true
}
