package session

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/core/session/internal/answers"
	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/strangers"
	"github.com/protofly/protofly/core/session/internal/table"
	"github.com/protofly/protofly/internal/work"
	"github.com/protofly/protofly/sdk/message"
)

// Sessions are the sessions of a runtime with all others. All methods may be called from many goroutines.
type Sessions struct {
	shared

	table *table.Table[*session]
	local atomic.Pointer[handshake.Local] // what new handshakes are made with

	sweeping table.Sweep
	refusals strangers.Refusals
}

// New makes the sessions of the runtime o.Self. It starts nothing. [Sessions.Close] ends them. Where o.Key is not that
// runtime's, that is logged and nobody will make a session with it.
func New(o Options) *Sessions {
	s := &Sessions{}
	s.o, s.self, s.epoch, s.seed = o.withDefaults(), o.Self.Canonical(), time.Now(), maphash.MakeSeed()
	s.memory.Limit(s.o.Totals.Bytes)
	s.table = table.New[*session](s.o.Totals.Sessions)
	l, err := handshake.NewLocal(s.o.Self, s.o.Incarnation, s.o.Key)
	if err != nil {
		s.o.Log.Error("no session can be made: this runtime cannot prove its address", "runtime", s.self, "error", err)
	}
	if s.o.Rejections {
		l.Abilities = handshake.TellsRefusals
	}
	s.local.Store(&l)
	s.life = work.NewGroup()
	s.forget = func(one *session) { s.table.Forget(one.remote, one) }
	s.answers = answers.New(answers.Options{Begin: s.spawn, Send: func(ctx context.Context, path Path, remote message.URL, frames ...[]byte) error {
		return s.o.Send(ctx, path, remote, frames...)
	}})
	return s
}

// spawn runs f in a goroutine. After Close has begun it runs f at once, with a context that has ended.
func (s *Sessions) spawn(f func(ctx context.Context)) {
	if !s.life.Begin() {
		ended, end := context.WithCancel(s.life.Context())
		end()
		f(ended)
		return
	}
	go func() {
		defer s.life.Done()
		f(s.life.Context())
	}()
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
func (s *Sessions) find(remote message.URL) *session { return s.table.Find(remote) }

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
		made := newSession(&s.shared, remote, s.current())
		switch s.enter(made, false) {
		case table.Entered:
			return made, nil
		case table.Closed:
			return nil, ErrClosed
		case table.Full:
			return nil, ErrTooMany
		}
	}
}

// enter puts a session into the table. Where that is full, idle ones make room. stranger: the other side has begun.
func (s *Sessions) enter(one *session, stranger bool) table.Put {
	put := s.table.Enter(one.remote, one, stranger)
	if put == table.Full {
		s.evict()
		put = s.table.Enter(one.remote, one, stranger)
	}
	if put == table.Entered {
		s.sweepSoon()
	}
	return put
}

// existing is a copy of the list of sessions.
func (s *Sessions) existing() []*session { return s.table.All() }

// UsePath moves the session with remote to path at once, without a message: what is not acknowledged is sent again
// there. Where there is no session yet, nothing happens: the first message brings its path along.
func (s *Sessions) UsePath(remote message.URL, path Path) {
	one := s.find(remote.Canonical())
	if one == nil || path.IsZero() {
		return
	}
	one.with(func(m *machine, now time.Duration) {
		if m.gone {
			return
		}
		m.paths.Forgive(path)
		m.paths.Told(path)
		m.switchTo(path, now)
		m.poke()
	})
}

// each has f look at the machine of each session, or tell it something.
func (s *Sessions) each(f func(m *machine, now time.Duration)) {
	for _, one := range s.existing() {
		one.with(f)
	}
}

// PathDown says that path is dead for everyone: the sessions on it ask Options.Route for another and send there again
// what is not acknowledged. It does not wait for that.
func (s *Sessions) PathDown(path Path) {
	s.each(func(m *machine, now time.Duration) {
		if m.lose(path, "said to be down", now) {
			m.poke()
		}
	})
}

// Returned says that the relay behind a stub, which was away, is there again. What was sent meanwhile is lost in both
// directions: the sessions on it send again, and ask for the same, instead of probing when it is time.
func (s *Sessions) Returned(stub message.URL) {
	s.each(func(m *machine, now time.Duration) {
		if m.paths.Used().Stub == stub && m.pair.Peer() != 0 {
			m.again(now)
		}
	})
}

// Again has the sessions on path send again what is not acknowledged, and ask for what they are missing, although path
// stays the same: what carries it was replaced, and frames that were under way may be lost.
func (s *Sessions) Again(path Path) {
	s.each(func(m *machine, now time.Duration) {
		if m.paths.Uses(path) && !path.IsZero() && !m.gone {
			m.again(now)
		}
	})
}

// Ended says that an address of this runtime has been given up: the runtimes that have been told of it in their sessions, and
// were heard of lately, are told so behind the messages that were posted from there. What is posted from there afterwards
// has it announced again. It does not wait.
func (s *Sessions) Ended(address message.URL) {
	address = address.Base().Canonical()
	s.each(func(m *machine, now time.Duration) { m.endAddress(address, now) })
}

// Snapshot is the state of all sessions, in no order.
func (s *Sessions) Snapshot() []State {
	list := s.existing()
	states := make([]State, 0, len(list))
	for _, one := range list {
		one.with(func(m *machine, _ time.Duration) { states = append(states, m.state(one.out, s.epoch)) })
	}
	return states
}

// Close takes no more messages, waits until all that were posted are acknowledged and all that came are taken, at
// most until ctx ends, and ends everything. The error says how many messages were left; Closed events name them.
func (s *Sessions) Close(ctx context.Context) error {
	s.life.Stop()
	s.table.Close()
	s.sweeping.Stop()
	list := s.existing()
	for _, one := range list {
		one.settle(ctx)
	}
	for _, one := range list {
		one.with(func(m *machine, _ time.Duration) { m.closed = true })
	}
	s.life.End()
	s.life.Wait()
	left, peers := 0, 0
	for _, one := range list {
		one.with(func(m *machine, now time.Duration) {
			if n := m.abandon(now); n > 0 {
				left += n
				peers++
			}
		})
	}
	if left > 0 {
		return fmt.Errorf("sessions: closed with %d messages to %d runtimes not acknowledged: they may not have arrived", left, peers)
	}
	return nil
}

// Came is the path by which the last frame of a remote runtime came that has proven who it is; false where there is no
// such runtime.
func (s *Sessions) Came(remote message.URL) (Path, bool) {
	one := s.find(remote.Canonical())
	if one == nil {
		return Path{}, false
	}
	var path Path
	var proven bool
	one.with(func(m *machine, _ time.Duration) { path, proven = m.paths.LastIn(), m.pair.Peer() != 0 })
	return path, proven && !path.IsZero()
}

// Heard is when a remote runtime was heard of last that has proven who it is, and whether the path in use is direct; false where
// there is no such runtime.
func (s *Sessions) Heard(remote message.URL) (at time.Time, direct, ok bool) {
	one := s.find(remote.Canonical())
	if one == nil {
		return time.Time{}, false, false
	}
	one.with(func(m *machine, _ time.Duration) {
		at, direct, ok = s.epoch.Add(m.heardAt()), m.paths.Used().Direct, m.pair.Peer() != 0
	})
	return at, direct, ok
}

// Uses tells whether any session has something to send over the stub, or has heard of its runtime over it within a time.
func (s *Sessions) Uses(stub message.URL, within time.Duration) bool {
	var used bool
	for _, one := range s.existing() {
		if one.with(func(m *machine, now time.Duration) { used = m.usesStub(stub, within, now) }); used {
			return true
		}
	}
	return false
}
