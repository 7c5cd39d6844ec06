package session

import (
	"context"
	"crypto/cipher"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// session is what one runtime keeps of another. Times are of Sessions.now; 0 is "not set".
type session struct {
	all    *Sessions
	o      *Options
	remote message.URL
	local  *local // this runtime in this session

	// Of who sends: see sendingOn.
	batch  [maxBatch][]byte            // the frames
	packed [maxBatch][]message.Message // what they carry, while somebody watches
	seals  [maxBatch]cipher.AEAD       // what closes them; nil: nothing, it is a hello

	wake  chan struct{} // wakes the pump
	came  chan struct{} // gives the deliverer the walk
	space chan struct{} // wakes a poster that waits: there may be room in the total

	mu     sync.Mutex
	events []Event // to be told when mu is unlocked

	// Life.
	gone       bool            // forgotten by all: look it up again
	closing    bool            // no message is taken any more
	closed     bool            // no goroutine starts any more
	pumping    bool            // the pump runs
	sleepsTo   time.Duration   // when it looks by itself, 0: it is awake, or about to be
	delivering bool            // the deliverer runs
	settled    chan struct{}   // Close waits here
	sendingOn  context.Context // the pathLife of what is being sent now, nil: nothing is. Who sets it alone sends
	sendingAt  time.Duration   // since when, or when the last was
	inline     bool            // it is a poster that sends: it has the pump look when it has done so
	poked      bool            // the pump is to look then

	pairing // see pair.go

	// Sending.
	ring      ring
	out       outstanding
	gen       uint64 // our generation
	cursor    uint64 // the number that is sent next; it goes back to ring.base in a new generation
	sent      uint64 // one above the highest number ever sent to peer
	room      uint64 // bytes from ring.base on that the peer takes
	inboxOf   uint64 // bytes that the peer's inbox takes in all, 0: not known yet
	waiters   int    // posters that wait for credit or room
	hungry    bool   // they wait for room in the total
	progress  time.Duration
	probeDue  time.Duration
	probeWait time.Duration
	probeNow  bool
	stalled   bool
	asked     time.Duration // since when an acknowledgement is owed to us
	resets    uint64
	rewinds   uint64
	dropped   uint64
	posted    [2]uint64 // messages, by whether the path that they were posted with is direct

	announced announcements // see announce.go

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
	walker    walker // of who has the walk: see deliver.go
	here      parcel // what Receive is to walk when it has given mu back
	held      held
	received  atomic.Uint64 // messages, before a listener has them

	// Reports: see report.go.
	account      *account // of the peer
	tellDue      time.Duration
	tellNow      bool
	tellHeld     bool // the peer does not acknowledge them: not before it is heard of
	reportBuffer []byte

	// Questions: see ask.go.
	heardAt time.Duration // when the last frame of the peer came
	askedAt time.Duration // when the first question that is not answered was asked
	askDue  time.Duration

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
	lastIn    Path                        // where the last frame came from
	door      atomic.Pointer[message.URL] // of the last frame that is proven to be the peer's
	seenOn    Path                        // where the peer's newest generation came from first
	aside     aside                       // what came by other relays
	leftTimer *time.Timer                 // calls follow: the peer has left path; nil: it has not
}

func newSession(all *Sessions, remote message.URL, l *local) *session {
	s := &session{
		all: all, o: &all.o, remote: remote, local: l,
		wake: make(chan struct{}, 1), came: make(chan struct{}, 1), space: make(chan struct{}, 1),
		ring: newRing(), gen: 1, cursor: 1, sent: 1, next: 1,
		probeWait: all.o.ProbeMin, pairing: pairing{helloWait: all.o.ProbeMin}, routeWait: all.o.ProbeMin / 4, failWait: all.o.ProbeMin / 4,
	}
	s.account = newAccount(s)
	s.walker.s, s.walker.source = s, uint32(maphash.String(all.seed, string(remote)))
	return s
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
	switch {
	case s.inline:
		s.poked = true
	case s.pumping:
		notify(s.wake)
	case !s.closed:
		s.pumping = true
		s.all.wg.Add(1)
		go s.pump()
	}
}

// pokeAt has the pump look when it is due. It is woken only where it would look later: most of what is due in a moment is
// done by what is sent before. mu is held.
func (s *session) pokeAt(due time.Duration) {
	if !s.pumping || s.sleepsTo > due {
		s.sleepsTo = 0
		s.poke()
	}
}

// quiet tells whether nothing is under way in either direction; mu is held.
func (s *session) quiet() bool {
	owes := (s.ackNow || s.ackDue != 0 || s.tellNow || s.tellDue != 0 || s.cursor < s.ring.next) && !s.path.IsZero() && s.peer != 0
	return s.ring.unacked() == 0 && s.inbox.cost == 0 && !owes && s.sendingOn == nil
}

// settle waits until the session is quiet, or ctx ends.
func (s *session) settle(ctx context.Context) {
	s.mu.Lock()
	s.closing = true
	if s.ackDue != 0 {
		s.ackNow = true
	}
	s.tellNow = s.tellDue != 0
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

// abandon reports and drops what was not taken when everything has ended. It returns how many messages were not even
// acknowledged.
func (s *session) abandon() int {
	s.mu.Lock()
	defer s.unlock()
	if s.leave != nil {
		s.leave()
	}
	n := s.ring.unacked()
	s.inDoubt(s.sent, Closed, "this runtime ends")
	s.giveUp(s.ring.next, Closed, "this runtime ends")
	s.ring.free()
	s.out.rest()
	return n
}

// giveUp drops all unacknowledged messages below number n and reports them, those that were sent and those that were
// not apart.
func (s *session) giveUp(n uint64, kind EventKind, why string) {
	base, sent := s.ring.base, min(n, s.sent)
	if kind == Expired {
		s.tellAgain(s.ring.own(base, n))
		s.announced.forget()
	}
	if sent > base {
		s.lost(base, sent, Event{Kind: kind, MayHaveArrived: true, Why: why})
	}
	if n > max(base, sent) {
		s.lost(max(base, sent), n, Event{Kind: kind, Why: why})
	}
	s.release(max(base, n))
}

// inDoubt reports all messages below number n that were sent and are not known to be taken, acknowledged or not, and
// drops them.
func (s *session) inDoubt(n uint64, kind EventKind, why string) {
	s.lost(0, n, Event{Kind: kind, MayHaveArrived: true, Why: why})
	s.release(max(s.ring.base, n))
}

// lost reports the messages from number a up to b that are outstanding, and drops them from there.
func (s *session) lost(a, b uint64, e Event) {
	e.Path = s.path
	before := s.out.live
	s.out.done(a, b, func(r *record) {
		e.IDs = append(e.IDs, r.id)
		e.Messages = append(e.Messages, r.message())
	})
	s.all.freed((before - s.out.live) * recordCost)
	if len(e.IDs) > 0 {
		s.event(e)
	}
}

// release forgets the messages below n and lets those in who wait for their room.
func (s *session) release(n uint64) {
	if s.ring.reported >= maxReported { // others may be waiting
		s.tellNow = true
	}
	cost := s.ring.release(n)
	s.cursor, s.sent = max(s.cursor, n), max(s.sent, n)
	s.all.freed(cost)
	s.admit()
}
