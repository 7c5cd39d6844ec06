package session

import (
	"context"
	"crypto/cipher"
	"hash/maphash"
	"sync"
	"time"

	"github.com/protofly/protofly/core/session/internal/deliver"
	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/pairing"
	"github.com/protofly/protofly/core/session/internal/paths"
	"github.com/protofly/protofly/core/session/internal/receiver"
	"github.com/protofly/protofly/core/session/internal/sender"
	"github.com/protofly/protofly/sdk/message"
)

// session is what one runtime keeps of another. Times are of Sessions.now; 0 is "not set".
type session struct {
	all    *Sessions
	o      *Options
	remote message.URL

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

	pair pairing.Pairing // see pair.go

	// Sending.
	send    sender.Sender
	hungry  bool // they wait for room in the total
	resets  uint64
	dropped uint64
	posted  [2]uint64 // messages, by whether the path that they were posted with is direct

	// Receiving.
	recv receiver.Receiver
	out  *deliver.Deliverer
	here receiver.Batch // what Receive's caller is to deliver when it has given mu back

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
	leftTimer *time.Timer // calls follow: the peer has left the path in use; nil: it has not
}

func newSession(all *Sessions, remote message.URL, l *handshake.Local) *session {
	s := &session{
		all: all, o: &all.o, remote: remote,
		wake: make(chan struct{}, 1), came: make(chan struct{}, 1), space: make(chan struct{}, 1),
		send: sender.New(sender.Options{RingBytes: all.o.RingBytes, FrameBytes: all.o.FrameBytes, InboxBytes: all.o.InboxBytes, TTL: all.o.TTL}),
		recv: receiver.New(receiver.Options{InboxBytes: all.o.InboxBytes, AckFrames: all.o.AckFrames, AckDelay: all.o.AckDelay, Claims: all.o.Announced != nil}),
		paths: paths.New(paths.Options{
			ProbeMin: all.o.ProbeMin, ProbeMax: all.o.ProbeMax, Stall: all.o.Stall,
			AsidePause: all.o.AckDelay, AsideCount: all.o.AckFrames, AsideBytes: all.o.InboxBytes / 8,
		}),
		pair: pairing.New(pairing.Options{ProbeMin: all.o.ProbeMin, ProbeMax: all.o.ProbeMax, Keys: all.o.keyLimits()}, all.self, remote, l),
	}
	s.account = newAccount(s)
	s.out = deliver.New(all.life, deliver.Options{Deliver: all.o.Deliver, DeliverRun: all.o.DeliverRun}, host{s}, remote, uint32(maphash.String(all.seed, string(remote))))
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
		e.Incarnation = s.pair.Peer()
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
	owes := (s.recv.Owes() || s.tellNow || s.tellDue != 0 || s.send.Unsent()) && !s.paths.None() && s.pair.Peer() != 0
	return s.send.Unacked() == 0 && s.recv.Cost() == 0 && !owes && s.sendingOn == nil
}

// settle waits until the session is quiet, or ctx ends.
func (s *session) settle(ctx context.Context) {
	s.mu.Lock()
	s.closing = true
	s.recv.AcknowledgeOwed()
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
