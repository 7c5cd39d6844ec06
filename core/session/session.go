package session

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"github.com/protofly/protofly/core/session/internal/answers"
	"github.com/protofly/protofly/core/session/internal/deliver"
	"github.com/protofly/protofly/core/session/internal/memory"
	"github.com/protofly/protofly/core/session/internal/outcomes"
	"github.com/protofly/protofly/core/session/internal/pairing"
	"github.com/protofly/protofly/core/session/internal/paths"
	"github.com/protofly/protofly/core/session/internal/receiver"
	"github.com/protofly/protofly/core/session/internal/sender"
	"github.com/protofly/protofly/core/session/internal/strangers"
	"github.com/protofly/protofly/core/session/internal/turn"
	"github.com/protofly/protofly/sdk/message"
)

// shared is what all sessions of a runtime have together.
type shared struct {
	o     Options
	self  message.URL // o.Self in canonical form
	epoch time.Time
	seed  maphash.Seed    // of what remote runtimes are called in minibus.Receipt.Source
	life  context.Context // of all goroutines
	end   context.CancelFunc
	wg    sync.WaitGroup

	endMu   sync.RWMutex
	closing bool // no goroutine starts any more, but those of others that run

	memory    memory.Total
	strangers strangers.Strangers
	answers   *answers.Answers // to strangers, and by paths that are not in use
}

// now is the time since the sessions were made; it is never 0, which stands for "not set".
func (s *shared) now() time.Duration { return time.Since(s.epoch) + 1 }

// begin counts a goroutine that Close has to wait for. It is false where the runtime ends.
func (s *shared) begin() bool {
	s.endMu.RLock()
	defer s.endMu.RUnlock()
	if s.closing {
		return false
	}
	s.wg.Add(1)
	return true
}

// spawn runs f in a goroutine that Close waits for. Where the runtime ends it runs at once, with a context that has ended.
func (s *shared) spawn(f func(ctx context.Context)) {
	if s.begin() {
		go func() {
			defer s.wg.Done()
			f(s.life)
		}()
		return
	}
	ended, end := context.WithCancel(s.life)
	end()
	f(ended)
}

func (s *shared) isClosing() bool {
	s.endMu.RLock()
	defer s.endMu.RUnlock()
	return s.closing
}

// owner is who has the session in a table.
type owner interface {
	// forget drops a session that has nothing to do.
	forget(one *session)
	// renew gives the sessions that are made from now on another incarnation.
	renew(next func(incarnation uint64) uint64)
}

// session is what one runtime keeps of another. Times are of Sessions.now; 0 is "not set".
type session struct {
	all    *shared
	owner  owner
	o      *Options
	remote message.URL

	batch   *outgoing // of whoever has the turn to send; nil while nothing is sent
	signals signals

	mu     sync.Mutex
	events []Event // to be told when mu is unlocked

	// Life.
	gone       bool          // forgotten by all: look it up again
	closing    bool          // no message is taken any more
	closed     bool          // no goroutine starts any more
	delivering bool          // the goroutine that delivers runs
	settled    chan struct{} // Close waits here
	turn       turn.Turn
	run        func() // the pump

	pair pairing.Pairing // see pair.go

	// Sending.
	send   sender.Sender
	hungry bool // posters wait for room in the total
	count  counters

	// Receiving.
	recv receiver.Receiver
	out  *deliver.Deliverer

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
func (s locked) poke() { s.wanted(s.turn.Poke(!s.closed)) }

// pokeAt has the pump look when it is due.
func (s locked) pokeAt(due time.Duration) { s.wanted(s.turn.PokeAt(due, !s.closed)) }

// wanted does what the turn wants of the pump.
func (s locked) wanted(w turn.Want) {
	switch w {
	case turn.Wake:
		notify(s.signals.wake)
	case turn.Start:
		s.all.wg.Add(1)
		go s.run()
	}
}

// quiet tells whether nothing is under way in either direction.
func (s locked) quiet() bool {
	owes := (s.recv.Owes() || s.tell.Owes() || s.send.Unsent()) && !s.paths.None() && s.pair.Peer() != 0
	return s.send.Unacked() == 0 && s.recv.Cost() == 0 && !owes && !s.turn.Sending()
}

// way is what the session holds of the path in use.
type way struct {
	number uint64          // of the path in use, among all that were; 0: there is none
	taken  uint64          // how many were
	life   context.Context // ends when the path in use is left
	leave  context.CancelFunc
	left   *time.Timer // calls follow: the peer has left the path in use; nil: it has not
}

// take begins with a path.
func (w *way) take(life context.Context) {
	w.taken++
	w.number = w.taken
	w.life, w.leave = context.WithCancel(life)
}

// quit ends what is being sent by the path in use.
func (w *way) quit() {
	if w.leave != nil {
		w.leave()
	}
	w.number, w.life, w.leave = 0, nil, nil
}

// signals wake others.
type signals struct {
	wake  chan struct{} // the pump
	came  chan struct{} // the goroutine that delivers: there is something to deliver
	space chan struct{} // a poster that waits: there may be room in the total
}

func newSignals() signals {
	return signals{make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1)}
}

// counters are for people.
type counters struct {
	resets  uint64    // how often the peer has begun another life
	dropped uint64    // frames that were refused
	posted  [2]uint64 // messages, by whether the path that they were posted with is direct
}

// notify wakes whoever waits on c, or will next.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
