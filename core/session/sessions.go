package session

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/core/session/internal/answers"
	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/strangers"
	"github.com/protofly/protofly/sdk/message"
)

// Sessions are the sessions of a runtime with all others. All methods may be called from many goroutines.
type Sessions struct {
	shared

	mu    sync.RWMutex
	byURL map[message.URL]*session // by canonical URL of the remote runtime; Options.Totals.Sessions, see enter

	local atomic.Pointer[handshake.Local] // what new handshakes are made with

	sweeping sweeping // see idle.go
	refusals strangers.Refusals
}

// New makes the sessions of the runtime o.Self. It starts nothing. [Sessions.Close] ends them. Where o.Key is not that
// runtime's, that is logged and nobody will make a session with it.
func New(o Options) *Sessions {
	s := &Sessions{byURL: make(map[message.URL]*session)}
	s.o, s.self, s.epoch, s.seed = o.withDefaults(), o.Self.Canonical(), time.Now(), maphash.MakeSeed()
	s.memory.Limit(s.o.Totals.Bytes)
	l, err := handshake.NewLocal(s.o.Self, s.o.Incarnation, s.o.Key)
	if err != nil {
		s.o.Log.Error("no session can be made: this runtime cannot prove its address", "runtime", s.self, "error", err)
	}
	s.local.Store(&l)
	s.life, s.end = context.WithCancel(context.Background())
	s.answers = answers.New(answers.Options{Begin: s.spawn, Send: func(ctx context.Context, path Path, remote message.URL, frames ...[]byte) error {
		return s.o.Send(ctx, path, remote, frames...)
	}})
	return s
}

// Incarnation is this life of the runtime, as the remote runtimes know it until a session is dropped.
func (s *Sessions) Incarnation() uint64 { return s.o.Incarnation }

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
		made := newSession(&s.shared, s, remote, s.current())
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

// enter puts a session into the table. Where that is full, idle ones make room. Of the table an eighth is left for the
// runtimes that this one has something to say to; stranger: the other side has begun. It is false where there is no room,
// or a session with that runtime already, or everything ends.
func (s *Sessions) enter(one *session, stranger bool) bool {
	limit := s.o.Totals.Sessions
	if stranger {
		limit -= limit / 8
	}
	put := func() (done, full bool) {
		s.endMu.RLock() // Close lists what is in the table when closing is set
		defer s.endMu.RUnlock()
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

// forget drops a session that has nothing to do. Its lock is held.
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
	l := one.lock()
	defer l.unlock()
	if one.gone {
		return
	}
	one.paths.Forgive(path)
	l.switchTo(path, s.now())
	l.poke()
}

// PathDown says that path is dead for everyone: the sessions on it ask Options.Route for another and send there again
// what is not acknowledged. It does not wait for that.
func (s *Sessions) PathDown(path Path) {
	for _, one := range s.existing() {
		l := one.lock()
		if l.lose(path, "said to be down", s.now()) {
			l.poke()
		}
		l.unlock()
	}
}

// Returned says that the relay behind a stub, which was away, is there again. What was sent meanwhile is lost in both
// directions: the sessions on it send again, and ask for the same, instead of probing when it is time.
func (s *Sessions) Returned(stub message.URL) {
	for _, one := range s.existing() {
		l := one.lock()
		if one.paths.Used().Stub == stub && one.pair.Peer() != 0 {
			one.send.Rewind()
			one.recv.Resume()
			l.restartProbe(s.now())
			l.poke()
		}
		l.unlock()
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
	s.endMu.Lock()
	s.closing = true
	s.endMu.Unlock()
	s.sweeping.stop()
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

// sweepSoon has idle sessions and unfinished handshakes looked for from now on.
func (s *Sessions) sweepSoon() {
	if s.life.Err() == nil && !s.isClosing() {
		s.sweeping.soon(s.sweepPause(), s.now(), s.sweep)
	}
}

// sweepPause is how long nothing need be looked for.
func (s *Sessions) sweepPause() time.Duration {
	pause := sweepMax
	if s.o.IdleTimeout > 0 {
		pause = min(pause, max(s.o.IdleTimeout/4, sweepMin))
	}
	if s.strangers.Kept() > 0 {
		pause = min(pause, 2*strangers.PendingTime)
	}
	return pause
}

// sweep drops what was idle for too long.
func (s *Sessions) sweep() {
	if !s.begin() {
		return
	}
	defer s.wg.Done()
	s.sweeping.began()
	left := s.strangers.Expire(s.now())
	list := s.existing()
	left += len(list)
	if s.o.IdleTimeout > 0 {
		for _, one := range list {
			one.dropIdle(s.o.IdleTimeout)
		}
	}
	if left > 0 {
		s.sweepSoon()
	}
}

// evict drops sessions that are clean, those first that were idle for longest. Where there are none it drops those that
// are kept for peers that have gone.
func (s *Sessions) evict() {
	now := s.now()
	if s.sweeping.vain(now) {
		return
	}
	type candidate struct {
		one  *session
		used time.Duration
	}
	var list, forsaken []candidate
	for _, one := range s.existing() {
		l := one.lock()
		switch used := l.usedAt(); {
		case now-used >= evictIdle && l.clean():
			list = append(list, candidate{one, used})
		case l.forsaken(now):
			forsaken = append(forsaken, candidate{one, used})
		}
		l.unlock()
	}
	drop := func(one *session) { one.dropIdle(evictIdle) }
	if len(list) == 0 {
		list, drop = forsaken, (*session).dropForsaken
	}
	slices.SortFunc(list, func(a, b candidate) int { return cmp.Compare(a.used, b.used) })
	for _, c := range list[:min(len(list), max(1, s.o.Totals.Sessions/evictPart))] {
		drop(c.one)
	}
	if len(list) > 0 {
		s.sweeping.room()
	}
}
