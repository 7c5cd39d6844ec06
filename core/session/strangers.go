package session

import (
	"context"

	"github.com/protofly/protofly/core/session/internal/strangers"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// Strangers are remote runtimes that there is no session with, since they have not proven who they are, or nothing was said
// with them for long. What comes from them is answered by the path that it came by. internal/strangers says what; a session is
// made when a handshake has ended.

// stranger takes a frame of a runtime that there is no session with.
func (s *Sessions) stranger(remote message.URL, path Path, h wire.Head, frame []byte) {
	c := strangers.Caller{Self: s.self, Remote: remote, Path: path, Local: s.current()}
	a := s.strangers.Greet(c, h, frame, s.now())
	for _, hello := range a.Replies {
		s.answers.Send(path, remote, hello)
	}
	if a.Task != nil {
		s.answers.Compute(path, remote, func() []byte {
			hello := a.Task.Run()
			if hello != nil {
				s.sweepSoon() // a handshake is kept
			}
			return hello
		})
	}
	if e, ok := impostor(a.Refused); ok {
		e.Remote, e.Path = remote, path
		s.onceInAWhile(e)
	}
	if a.Agreed.Keys != nil {
		s.admitted(c, &a)
	}
}

// admitted makes the session with a stranger that has proven who it is.
func (s *Sessions) admitted(c strangers.Caller, a *strangers.Answer) {
	one := newSession(&s.shared, s, c.Remote, a.Local)
	path, ok := s.o.Route(c.Remote)
	if !ok || path.IsZero() {
		path = c.Path
	}
	held := one.lock()
	defer held.unlock()
	if !s.enter(one, true) {
		one.gone = true
		return
	}
	now := s.now()
	held.cameBy(c.Path)
	held.switchTo(path, now)
	held.adopted(one.pair.Adopt(a.Agreed, a.Confirmed, now), now)
}

// refused tells that a runtime that is not trusted has sent something.
func (s *Sessions) refused(remote message.URL, why error) {
	s.onceInAWhile(Event{Kind: Untrusted, Remote: remote, Why: why.Error()})
}

// foreign tells that a frame has another version, where that is one of a runtime that there may be a session with.
func (s *Sessions) foreign(remote message.URL, path Path, theirs byte) {
	if why, ok := strangers.OtherVersion(remote, theirs); ok && s.o.Trust(remote) == nil {
		s.onceInAWhile(Event{Kind: Version, Remote: remote, Path: path, Why: why})
	}
}

// onceInAWhile tells e unless something was told of that runtime just before.
func (s *Sessions) onceInAWhile(e Event) {
	if s.refusals.Due(e.Remote, s.now()) {
		s.o.Events(e)
	}
}

// spawn runs f in a goroutine that Close waits for. Where the runtime ends it runs at once, with a context that has ended.
func (s *Sessions) spawn(f func(ctx context.Context)) {
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
