package session

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/sdk/message"
)

// Sessions are the sessions of a runtime with all others. All methods may be called from many goroutines.
type Sessions struct {
	o     Options
	self  message.URL // o.Self in canonical form
	epoch time.Time
	seed  maphash.Seed    // of what remote runtimes are called in minibus.Receipt.Source
	life  context.Context // of all goroutines
	end   context.CancelFunc
	wg    sync.WaitGroup

	mu      sync.RWMutex
	byURL   map[message.URL]*session // by canonical URL of the remote runtime; Options.Sessions, see enter
	closing bool

	local atomic.Pointer[handshake.Local] // what new handshakes are made with

	strangersMu sync.Mutex
	strangers   strangers // see strangers.go
	allowance   allowance // what handshakes with runtimes that there is a session with may cost

	sweepMu   sync.Mutex
	sweeper   *time.Timer   // looks for idle sessions; nil: there is nothing to look for
	sweepDue  time.Duration // when
	fullUntil time.Duration // the table is full, and nothing in it can be dropped

	untrustedMu sync.Mutex
	untrusted   map[message.URL]time.Duration // whose frames were refused last, and when that was told; maxUntrusted, see makeRoom

	large large // the buffers of large frames

	sending atomic.Int64 // cost of all rings
	waiting atomic.Int64 // cost of all inboxes

	starvedMu sync.Mutex
	starved   map[*session]struct{} // with posters that wait for sending to shrink; those in byURL
	hungry    atomic.Int32          // len(starved)
}

// New makes the sessions of the runtime o.Self. It starts nothing. [Sessions.Close] ends them. Where o.Key is not that
// runtime's, that is logged and nobody will make a session with it.
func New(o Options) *Sessions {
	s := &Sessions{
		o: o.withDefaults(), self: o.Self.Canonical(), epoch: time.Now(), seed: maphash.MakeSeed(),
		byURL: make(map[message.URL]*session), starved: make(map[*session]struct{}), untrusted: make(map[message.URL]time.Duration),
	}
	l, err := handshake.NewLocal(s.o.Self, s.o.Incarnation, s.o.Key)
	if err != nil {
		s.o.Log.Error("no session can be made: this runtime cannot prove its address", "runtime", s.self, "error", err)
	}
	s.local.Store(&l)
	s.life, s.end = context.WithCancel(context.Background())
	return s
}

// Incarnation is this life of the runtime, as the remote runtimes know it until a session is dropped.
func (s *Sessions) Incarnation() uint64 { return s.o.Incarnation }

// now is the time since the sessions were made; it is never 0, which stands for "not set".
func (s *Sessions) now() time.Duration { return time.Since(s.epoch) + 1 }

// current is this runtime in sessions that are made now.
func (s *Sessions) current() *handshake.Local { return s.local.Load() }

// renew gives the sessions that are made from now on another incarnation.
func (s *Sessions) renew(next func(incarnation uint64) uint64) {
	for {
		before := s.local.Load()
		if s.local.CompareAndSwap(before, before.WithIncarnation(next(before.Incarnation))) {
			return
		}
	}
}

// find is the session with remote, which is canonical; nil: there is none.
func (s *Sessions) find(remote message.URL) *session {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byURL[remote]
}

// trusts says why there may be no session with remote, which is canonical.
func (s *Sessions) trusts(remote message.URL) error {
	if remote == s.self {
		return ErrSelf
	}
	if err := s.o.Trust(remote); err != nil {
		return fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	return nil
}

// session finds or makes the session with remote, to which this runtime has something to say.
func (s *Sessions) session(remote message.URL) (*session, error) {
	remote = remote.Canonical()
	for {
		if found := s.find(remote); found != nil {
			return found, nil
		}
		if err := s.trusts(remote); err != nil {
			return nil, err
		}
		made := newSession(s, remote, s.current())
		switch {
		case s.enter(made, false):
			return made, nil
		case s.life.Err() != nil || s.isClosing():
			return nil, ErrClosed
		case s.find(remote) == nil:
			return nil, ErrTooMany
		}
	}
}

func (s *Sessions) isClosing() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.closing
}

// enter puts a session into the table. Where that is full, idle ones make room. Of the table an eighth is left for the
// runtimes that this one has something to say to; stranger: the other side has begun. It is false where there is no room,
// or a session with that runtime already, or everything ends.
func (s *Sessions) enter(one *session, stranger bool) bool {
	limit := s.o.Sessions
	if stranger {
		limit -= limit / 8
	}
	put := func() (done, full bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.closing || s.byURL[one.remote] != nil {
			return false, false
		}
		if len(s.byURL) >= limit {
			return false, true
		}
		s.byURL[one.remote] = one
		return true, false
	}
	done, full := put()
	if full {
		s.evict()
		done, _ = put()
	}
	if done {
		s.sweepSoon()
	}
	return done
}

// existing is a copy of the list of sessions.
func (s *Sessions) existing() []*session {
	s.mu.RLock()
	defer s.mu.RUnlock()
	list := make([]*session, 0, len(s.byURL))
	for _, one := range s.byURL {
		list = append(list, one)
	}
	return list
}

// forget drops a session that has nothing to do. Its mu is held.
func (s *Sessions) forget(one *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one.gone = true
	if s.byURL[one.remote] == one {
		delete(s.byURL, one.remote)
	}
}

// UsePath moves the session with remote to path at once, without a message: what is not acknowledged is sent again
// there. Where there is no session yet, nothing happens: the first message brings its path along.
func (s *Sessions) UsePath(remote message.URL, path Path) {
	s.mu.RLock()
	one := s.byURL[remote.Canonical()]
	s.mu.RUnlock()
	if one == nil || path.IsZero() {
		return
	}
	one.mu.Lock()
	defer one.unlock()
	if one.gone {
		return
	}
	one.paths.Forgive(path)
	one.switchTo(path, s.now())
	one.poke()
}

// PathDown says that path is dead for everyone: the sessions on it ask Options.Route for another and send there again
// what is not acknowledged. It does not wait for that.
func (s *Sessions) PathDown(path Path) {
	for _, one := range s.existing() {
		one.mu.Lock()
		if one.lose(path, "said to be down", s.now()) {
			one.poke()
		}
		one.unlock()
	}
}

// Returned says that the relay behind a stub, which was away, is there again. What was sent meanwhile is lost in both
// directions: the sessions on it send again, and ask for the same, instead of probing when it is time.
func (s *Sessions) Returned(stub message.URL) {
	for _, one := range s.existing() {
		one.mu.Lock()
		if one.paths.Used().Stub == stub && one.pair.Peer() != 0 {
			one.send.Rewind()
			one.recv.Resume()
			one.restartProbe(s.now())
			one.poke()
		}
		one.unlock()
	}
}

// Snapshot is the state of all sessions, in no order.
func (s *Sessions) Snapshot() []State {
	list := s.existing()
	states := make([]State, 0, len(list))
	for _, one := range list {
		st := one.state()
		states = append(states, st)
	}
	return states
}

// Close takes no more messages, waits until all that were posted are acknowledged and all that came are taken, at
// most until ctx ends, and ends everything. The error says how many messages were left; Closed events name them.
func (s *Sessions) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.sweepMu.Lock()
	if s.sweeper != nil {
		s.sweeper.Stop()
	}
	s.sweepMu.Unlock()
	list := s.existing()
	for _, one := range list {
		one.settle(ctx)
	}
	for _, one := range list {
		one.stop()
	}
	s.end()
	s.wg.Wait()
	left, peers := 0, 0
	for _, one := range list {
		if n := one.abandon(); n > 0 {
			left += n
			peers++
		}
	}
	if left > 0 {
		return fmt.Errorf("sessions: closed with %d messages to %d runtimes not acknowledged: they may not have arrived", left, peers)
	}
	return nil
}

// fits tells whether what waits to be acknowledged may be more by cost.
func (s *Sessions) fits(cost int) bool {
	used := s.sending.Load()
	return used == 0 || used+int64(cost) <= int64(s.o.TotalBytes)
}

// full tells whether what waits for listeners is as much as may wait in all.
func (s *Sessions) full() bool { return s.waiting.Load() >= int64(s.o.TotalBytes) }

// starve notes that a poster of one waits for room in the total.
func (s *Sessions) starve(one *session, on bool) {
	s.starvedMu.Lock()
	defer s.starvedMu.Unlock()
	if on {
		s.starved[one] = struct{}{}
	} else {
		delete(s.starved, one)
	}
	s.hungry.Store(int32(len(s.starved)))
}

// freed takes cost off the total and wakes the posters that wait for it.
func (s *Sessions) freed(cost int) {
	s.sending.Add(-int64(cost))
	if s.hungry.Load() == 0 {
		return
	}
	s.starvedMu.Lock()
	defer s.starvedMu.Unlock()
	for one := range s.starved {
		notify(one.space)
	}
}

// notify wakes who waits on c, or who will next.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
