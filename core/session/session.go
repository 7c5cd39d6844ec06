package session

import (
	"context"
	"crypto/cipher"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/core/session/internal/paths"
	"github.com/protofly/protofly/core/session/internal/sender"
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
	send    sender.Sender
	hungry  bool // they wait for room in the total
	resets  uint64
	dropped uint64
	posted  [2]uint64 // messages, by whether the path that they were posted with is direct

	claims claims // of the peer, see announce.go

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
	paths     paths.Paths
	pathLife  context.Context // ends when the path in use is left
	leave     context.CancelFunc
	door      atomic.Pointer[message.URL] // of the last frame that is proven to be the peer's
	leftTimer *time.Timer                 // calls follow: the peer has left the path in use; nil: it has not
}

func newSession(all *Sessions, remote message.URL, l *local) *session {
	s := &session{
		all: all, o: &all.o, remote: remote, local: l,
		wake: make(chan struct{}, 1), came: make(chan struct{}, 1), space: make(chan struct{}, 1),
		send: sender.New(sender.Options{RingBytes: all.o.RingBytes, FrameBytes: all.o.FrameBytes, InboxBytes: all.o.InboxBytes, TTL: all.o.TTL}),
		next: 1,
		paths: paths.New(paths.Options{
			ProbeMin: all.o.ProbeMin, ProbeMax: all.o.ProbeMax, Stall: all.o.Stall,
			AsidePause: all.o.AckDelay, AsideCount: all.o.AckFrames, AsideBytes: all.o.InboxBytes / 8,
		}),
		pairing: pairing{helloWait: all.o.ProbeMin},
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
	owes := (s.ackNow || s.ackDue != 0 || s.tellNow || s.tellDue != 0 || s.send.Unsent()) && !s.paths.None() && s.peer != 0
	return s.send.Unacked() == 0 && s.inbox.cost == 0 && !owes && s.sendingOn == nil
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
	n := s.send.Unacked()
	s.given(s.send.DropAll(), Closed, "this runtime ends")
	s.send.Rest()
	return n
}

// given reports messages that were given up. mu is held.
func (s *session) given(d sender.Dropped, kind EventKind, why string) {
	s.lost(d.Sent, Event{Kind: kind, MayHaveArrived: true, Why: why})
	s.lost(d.Unsent, Event{Kind: kind, Why: why})
	s.freed(d.Freed, d.Reports)
}

// lost tells e of the messages, where there are any. mu is held.
func (s *session) lost(list []message.Message, e Event) {
	if len(list) == 0 {
		return
	}
	e.Path, e.Messages = s.paths.Used(), list
	for i := range list {
		e.IDs = append(e.IDs, list[i].ID)
	}
	s.event(e)
}

// freed lets those in who wait for what was given back. mu is held.
func (s *session) freed(cost int, reports bool) {
	s.tellNow = s.tellNow || reports
	s.all.freed(cost)
	s.admit()
}
