package session

import (
	"context"
	"crypto/cipher"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/protofly/protofly/sdk/message"
)

// session is what one runtime keeps of another. Times are of Sessions.now; 0 is "not set".
type session struct {
	all    *Sessions
	o      *Options
	remote message.URL

	packed [maxBatch][]message.Message // what the frames being sent carry, while somebody watches; the pump's
	seals  [maxBatch]cipher.AEAD       // what closes them; nil: nothing, it is a hello; the pump's

	wake  chan struct{} // wakes the pump
	came  chan struct{} // wakes the deliverer
	space chan struct{} // wakes the poster whose turn it is
	turn  chan struct{} // is full while a poster waits for space: the others queue behind it

	mu     sync.Mutex
	events []Event // to be told when mu is unlocked

	// Life.
	gone       bool            // forgotten by all: look it up again
	closing    bool            // no message is taken any more
	closed     bool            // no goroutine starts any more
	pumping    bool            // the pump runs
	delivering bool            // the deliverer runs
	settled    chan struct{}   // Close waits here
	sendingOn  context.Context // the pathLife that the pump's Send has now, nil: none
	sendingAt  time.Duration   // since when

	pairing    // see pair.go
	handshakes *rate.Limiter

	// Sending.
	ring      ring
	gen       uint64 // our generation
	cursor    uint64 // the number that is sent next; it goes back to ring.base in a new generation
	sent      uint64 // one above the highest number ever sent to peer
	room      uint64 // bytes from ring.base on that the peer takes
	waiters   int    // posters that wait for space
	progress  time.Duration
	probeDue  time.Duration
	probeWait time.Duration
	probeNow  bool
	stalled   bool
	asked     time.Duration // since when an acknowledgement is owed to us
	resets    uint64
	rewinds   uint64
	dropped   uint64

	// Receiving.
	seen      uint64 // the peer's generation
	next      uint64 // the number expected
	unackedIn int    // frames since the last acknowledgement
	bytesIn   int    // bytes since the last acknowledgement
	ackDue    time.Duration
	ackNow    bool
	resumeNow bool          // ask the peer to send again
	resumeGen uint64        // the generation that we asked for last
	resumeAt  time.Duration // and when
	inbox     inbox

	// Path: see path.go.
	path      Path
	pathLife  context.Context // ends when path is left
	leave     context.CancelFunc
	reroute   bool // ask Route although there is a path
	routeDue  time.Duration
	routeWait time.Duration
	failed    Path          // the last path that failed
	failedTo  time.Duration // not tried again before
	failWait  time.Duration
	lastIn    Path        // where the last frame came from
	seenOn    Path        // where the peer's newest generation came from first
	leftTimer *time.Timer // calls follow: the peer has left path; nil: it has not
}

func newSession(all *Sessions, remote message.URL) *session {
	return &session{
		all: all, o: &all.o, remote: remote,
		wake: make(chan struct{}, 1), came: make(chan struct{}, 1), space: make(chan struct{}, 1), turn: make(chan struct{}, 1),
		ring: newRing(), gen: 1, cursor: 1, sent: 1, next: 1,
		handshakes: rate.NewLimiter(handshakesEach, handshakesEach),
		probeWait:  all.o.ProbeMin, pairing: pairing{helloWait: all.o.ProbeMin}, routeWait: all.o.ProbeMin / 4, failWait: all.o.ProbeMin / 4,
	}
}

// unlock unlocks mu and tells the events that happened under it.
func (s *session) unlock() {
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

// event notes e; mu is held.
func (s *session) event(e Event) {
	e.Remote = s.remote
	if e.Incarnation == 0 {
		e.Incarnation = s.peer
	}
	s.events = append(s.events, e)
	if log := s.o.Log; log.IsDebug() {
		log.Debug("session", "event", string(e.Kind), "remote", string(e.Remote), "path", string(e.Path.Door), "messages", len(e.IDs), "why", e.Why)
	}
}

// poke has the pump look for work; mu is held.
func (s *session) poke() {
	if s.pumping {
		notify(s.wake)
		return
	}
	if !s.closed {
		s.pumping = true
		s.all.wg.Add(1)
		go s.pump()
	}
}

// quiet tells whether nothing is under way in either direction; mu is held.
func (s *session) quiet() bool {
	owes := (s.ackNow || s.ackDue != 0) && !s.path.IsZero() && s.peer != 0
	return s.ring.empty() && s.inbox.cost == 0 && !owes && s.sendingOn == nil
}

// settle waits until the session is quiet, or ctx ends.
func (s *session) settle(ctx context.Context) {
	s.mu.Lock()
	s.closing = true
	if s.ackDue != 0 {
		s.ackNow = true
	}
	done := make(chan struct{})
	s.settled = done
	s.poke()
	s.unlock()
	select {
	case <-done:
	case <-ctx.Done():
	case <-s.all.life.Done():
	}
}

// stop keeps goroutines from starting.
func (s *session) stop() {
	s.mu.Lock()
	s.closed = true
	s.unlock()
}

// abandon reports and drops what was not acknowledged when everything has ended. It returns how many messages.
func (s *session) abandon() int {
	s.mu.Lock()
	defer s.unlock()
	if s.leave != nil {
		s.leave()
	}
	n := int(s.ring.next - s.ring.base)
	s.giveUp(s.ring.next, Closed, "this runtime ends")
	s.ring.free()
	return n
}

// giveUp drops all messages below number n and reports them, those that were sent and those that were not apart.
func (s *session) giveUp(n uint64, kind EventKind, why string) {
	if sent := min(n, s.sent); sent > s.ring.base {
		s.event(Event{Kind: kind, Path: s.path, IDs: s.ring.ids(s.ring.base, sent), Messages: s.ring.headers(s.ring.base, sent), MayHaveArrived: true, Why: why})
		s.release(sent)
	}
	if n > s.ring.base {
		s.event(Event{Kind: kind, Path: s.path, IDs: s.ring.ids(s.ring.base, n), Messages: s.ring.headers(s.ring.base, n), Why: why})
		s.release(n)
	}
}

// release forgets the messages below n and wakes who waits for their room.
func (s *session) release(n uint64) {
	cost := s.ring.release(n)
	s.cursor, s.sent = max(s.cursor, n), max(s.sent, n)
	s.all.freed(cost)
	if s.waiters > 0 {
		notify(s.space)
	}
}
