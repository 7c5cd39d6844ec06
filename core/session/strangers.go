package session

import (
	"context"
	"errors"
	"time"

	"github.com/protofly/protofly/core/session/internal/strangers"
	"github.com/protofly/protofly/core/session/internal/table"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Receive takes a frame that came from remote through path, as the path says; whether it did is what the seal proves.
// Receive may call Options.Deliver, but never waits for listeners. It changes the frame, and does not keep it. Whatever is in the frame does no harm:
// what cannot be used is counted in State.Dropped.
func (s *Sessions) Receive(_ context.Context, remote message.URL, path Path, frame []byte) {
	if len(frame) > sdk.MaxFrame {
		return
	}
	h, err := wire.ParseHead(frame)
	if errors.Is(err, wire.ErrVersion) {
		s.foreign(remote.Canonical(), path, frame[0])
	}
	if err != nil {
		return
	}
	remote = remote.Canonical()
	for one := s.find(remote); one != nil; one = s.find(remote) {
		if one.receive(path, h, frame) {
			return
		}
	}
	switch err := s.trusts(remote); {
	case err == nil:
		s.stranger(remote, path, h, frame)
	case errors.Is(err, ErrUntrusted):
		s.refused(remote, err)
	}
}

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
	one := newSession(&s.shared, c.Remote, a.Local)
	path, ok := s.o.Route(c.Remote)
	if !ok || path.IsZero() {
		path = c.Path
	}
	one.with(func(m *machine, now time.Duration) {
		if s.enter(one, true) != table.Entered {
			m.gone = true
			return
		}
		m.paths.Came(c.Path)
		one.out.CameBy(c.Path.Door)
		m.switchTo(path, now)
		m.adopted(m.pair.Adopt(a.Agreed, a.Confirmed, now), now)
	})
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
