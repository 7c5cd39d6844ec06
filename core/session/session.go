package session

import (
	"sync"
	"time"

	"github.com/protofly/protofly/core/session/internal/deliver"
	"github.com/protofly/protofly/core/session/internal/outcomes"
	"github.com/protofly/protofly/core/session/internal/pairing"
	"github.com/protofly/protofly/core/session/internal/paths"
	"github.com/protofly/protofly/core/session/internal/receiver"
	"github.com/protofly/protofly/core/session/internal/sender"
	"github.com/protofly/protofly/sdk/message"
)

// table is where a session is found.
type table interface {
	// forget drops a session that has nothing to do.
	forget(one *session)
	// renew gives the sessions that are made from now on another incarnation.
	renew(next func(incarnation uint64) uint64)
}

// session is what one runtime keeps of another. Times are of Sessions.now; 0 is "not set".
type session struct {
	all    *shared
	table  table
	o      *Options
	remote message.URL

	batch   outgoing // of whoever sends: see turn
	signals signals

	mu     sync.Mutex
	events []Event // to be told when mu is unlocked

	// Life.
	gone       bool          // forgotten by all: look it up again
	closing    bool          // no message is taken any more
	closed     bool          // no goroutine starts any more
	delivering bool          // the goroutine that delivers runs
	settled    chan struct{} // Close waits here
	turn       turn

	pair pairing.Pairing // see pair.go

	// Sending.
	send   sender.Sender
	hungry bool // posters wait for room in the total
	count  counters

	// Receiving.
	recv receiver.Receiver
	out  *deliver.Deliverer
	here receiver.Batch // what Receive's caller is to deliver when it has given mu back

	// Outcomes: see settle.go.
	tell   outcomes.Outcomes
	ledger *outcomes.Ledger // of the peer

	// Path: see path.go.
	paths paths.Paths
	way   way
}

// locked is a session whose mu is held: what has to have it held is a method of it.
type locked struct{ *session }

// lock locks mu.
func (s *session) lock() locked {
	s.mu.Lock()
	return locked{s}
}

// unlock unlocks mu and tells the events that happened under it.
func (s locked) unlock() {
	if s.settled != nil && s.quiet() {
		close(s.settled)
		s.settled = nil
	}
	events := s.events
	s.events = nil
	s.mu.Unlock()
	for _, e := range events {
		s.o.Events(e)
	}
}

// event notes e.
func (s locked) event(e Event) {
	e.Remote = s.remote
	if e.Incarnation == 0 {
		e.Incarnation = s.pair.Peer()
	}
	s.events = append(s.events, e)
	if log := s.o.Log; log.IsDebug() {
		log.Debug("session", "event", string(e.Kind), "remote", string(e.Remote), "path", string(e.Path.Door), "messages", len(e.IDs), "why", e.Why)
	}
}

// poke has the pump look for work.
func (s locked) poke() {
	switch {
	case s.turn.inline:
		s.turn.poked = true
	case s.turn.pumping:
		notify(s.signals.wake)
	case !s.closed:
		s.turn.pumping = true
		s.all.wg.Add(1)
		go s.turn.run()
	}
}

// pokeAt has the pump look when it is due. It is woken only where it would look later: most of what is due in a moment is
// done by what is sent before.
func (s locked) pokeAt(due time.Duration) {
	if !s.turn.pumping || s.turn.sleepsTo > due {
		s.turn.sleepsTo = 0
		s.poke()
	}
}

// quiet tells whether nothing is under way in either direction.
func (s locked) quiet() bool {
	owes := (s.recv.Owes() || s.tell.Owes() || s.send.Unsent()) && !s.paths.None() && s.pair.Peer() != 0
	return s.send.Unacked() == 0 && s.recv.Cost() == 0 && !owes && s.turn.on == nil
}

// notify wakes whoever waits on c, or will next.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
