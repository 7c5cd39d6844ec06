package session

import (
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/memory"
	"github.com/protofly/protofly/core/session/internal/outcomes"
	"github.com/protofly/protofly/core/session/internal/pairing"
	"github.com/protofly/protofly/core/session/internal/paths"
	"github.com/protofly/protofly/core/session/internal/receiver"
	"github.com/protofly/protofly/core/session/internal/sender"
	"github.com/protofly/protofly/core/session/internal/turn"
	"github.com/protofly/protofly/core/session/internal/vigil"
	"github.com/protofly/protofly/sdk/message"
)

// machine is what one runtime keeps of another, as a state machine: it has the parts, and passes values between them. It takes
// no lock, starts nothing, sends nothing and looks at no clock: session.go tells it what happened and what time it is, and
// does what it wants, see todo. Times are of Sessions.now; 0 is "not set".
type machine struct {
	o      *Options
	remote message.URL
	total  *memory.Total // of all sessions
	space  chan struct{} // total sends here when it has room again, while posters wait for that
	ended  chan struct{} // closed when the session is forgotten; nil: nobody has waited

	gone       bool // forgotten by all: look it up again
	closing    bool // no message is taken any more
	closed     bool // no goroutine starts any more
	delivering bool // the goroutine that delivers runs
	hungry     bool // posters wait for room in the total

	todo  todo
	count counters

	turn   turn.Turn
	pair   pairing.Pairing
	paths  paths.Paths
	send   sender.Sender
	recv   receiver.Receiver
	tell   outcomes.Outcomes
	ledger *outcomes.Ledger // of the peer
	vigil  vigil.Vigil
}

// todo is what a machine wants. session.unlock does it. What follows from the path in use is not among it: that is compared
// with what session.go holds of it.
type todo struct {
	pump    turn.Want // of the goroutine that sends
	deliver turn.Want // of the goroutine that delivers
	forget  bool      // the session leaves the table
	events  []Event   // to be told when the lock has been given back
	aside   []aside   // to be sent then
}

// aside is frames that go by a path whether or not it is the one in use.
type aside struct {
	path   Path
	frames [][]byte
}

// some tells whether something is wanted, events apart.
func (t *todo) some() bool { return t.pump != turn.Nothing || t.deliver != turn.Nothing || t.forget }

// counters are for people.
type counters struct {
	resets  uint64    // how often the peer has begun another life
	dropped uint64    // frames that were refused
	posted  [2]uint64 // messages, by whether the path that they were posted with is direct
}

// newMachine is what l keeps of the runtime remote, with which nothing was said yet.
func newMachine(o *Options, total *memory.Total, self, remote message.URL, l *handshake.Local, owner outcomes.Owner) machine {
	return machine{
		o: o, remote: remote, total: total, space: make(chan struct{}, 1),
		send: sender.New(sender.Options{RingBytes: o.RingBytes, FrameBytes: o.FrameBytes, InboxBytes: o.InboxBytes, TTL: o.TTL}),
		recv: receiver.New(receiver.Options{InboxBytes: o.InboxBytes, AckFrames: o.Acks.Frames, AckDelay: o.Acks.Delay, Claims: o.Claims.Announced != nil}),
		paths: paths.New(paths.Options{
			ProbeMin: o.Paths.ProbeMin, ProbeMax: o.Paths.ProbeMax, Stall: o.Paths.Stall,
			AsidePause: o.Acks.Delay, AsideCount: o.Acks.Frames, AsideBytes: o.InboxBytes / 8,
		}),
		tell:   outcomes.New(outcomes.Options{TTL: o.TTL, Delay: o.Acks.Delay, Forgiven: o.Linger}),
		pair:   pairing.New(pairing.Options{ProbeMin: o.Paths.ProbeMin, ProbeMax: o.Paths.ProbeMax, Keys: o.keyLimits()}, self, remote, l),
		ledger: outcomes.NewLedger(owner, o.InboxBytes),
		vigil:  vigil.New(o.Silence.times()),
	}
}

// event notes e.
func (m *machine) event(e Event) {
	e.Remote = m.remote
	if e.Incarnation == 0 {
		e.Incarnation = m.pair.Peer()
	}
	m.todo.events = append(m.todo.events, e)
}

// poke has the pump look for work.
func (m *machine) poke() { m.wants(m.turn.Poke(!m.closed)) }

// pokeAt has the pump look when it is due.
func (m *machine) pokeAt(due time.Duration) { m.wants(m.turn.PokeAt(due, !m.closed)) }

// wants notes what the turn wants of the pump.
func (m *machine) wants(w turn.Want) { m.todo.pump = max(m.todo.pump, w) }

// handOver has a goroutine deliver where there is something to deliver and nobody does.
func (m *machine) handOver() {
	switch {
	case m.closed || !m.recv.Start():
	case m.delivering:
		m.todo.deliver = max(m.todo.deliver, turn.Wake)
	default:
		m.delivering, m.todo.deliver = true, turn.Start
	}
}

// forget has the session leave the table: whoever has it looks it up again.
func (m *machine) forget() { m.gone, m.todo.forget = true, true }

// heardAt is when the peer was heard of last.
func (m *machine) heardAt() time.Duration { return max(m.tell.HeardAt(), m.pair.PairedAt()) }

// usedAt is when messages were last noticed to have been exchanged with the peer.
func (m *machine) usedAt() time.Duration { return max(m.vigil.UsedAt(), m.pair.PairedAt()) }

// waits tells whether the peer has to acknowledge something.
func (m *machine) waits() bool { return m.pair.Peer() != 0 && !m.send.Empty() }

// quiet tells whether nothing is under way in either direction.
func (m *machine) quiet() bool {
	owes := (m.recv.Owes() || m.tell.Owes() || m.send.Unsent()) && !m.paths.None() && m.pair.Peer() != 0
	return m.send.Unacked() == 0 && m.recv.Cost() == 0 && !owes && !m.turn.Sending()
}

// close has nothing more taken, and what is owed to the peer told at once.
func (m *machine) close() {
	m.closing = true
	m.recv.AcknowledgeOwed()
	m.tell.HurryOwed()
	m.poke()
}

// usesStub tells whether there is something to send over the stub, or the peer was heard of over it within a time.
func (m *machine) usesStub(stub message.URL, within, now time.Duration) bool {
	sends := m.paths.Used().Stub == stub
	heard := m.tell.HeardAt()
	return sends && !m.send.Empty() || (sends || m.paths.LastIn().Stub == stub) && heard != 0 && now-heard < within
}
