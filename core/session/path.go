package session

import (
	"context"
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/wire"
)

// switchTo makes path the one in use and starts a new generation on it: it begins with a RESUME, and everything that
// is not acknowledged is sent again behind it. mu is held.
func (s *session) switchTo(path Path, now time.Duration) {
	if !s.paths.Uses(path) {
		s.send.AnnounceAgain() // the peer may have forgotten what it heard on a path that it does not keep addresses for
		s.moveTo(path, now)
	}
}

// moveTo is switchTo where the addresses that the peer has to be told of are announced already. mu is held.
func (s *session) moveTo(path Path, now time.Duration) {
	before := s.paths.Used()
	s.leavePath()
	s.paths.Use(path)
	s.pathLife, s.leave = context.WithCancel(s.all.life)
	s.event(Event{Kind: Switched, Path: path, Before: before})
	s.send.Rewind()
	if s.pair.Peer() != 0 {
		s.recv.Resume()
	}
	s.restartProbe(now)
	s.pair.NewPath(now)
}

// leavePath ends what is being sent by the path in use. mu is held.
func (s *session) leavePath() {
	if s.leave != nil {
		s.leave()
	}
	s.pathLife, s.leave = nil, nil
	s.paths.Leave()
	s.stayed()
}

// lose leaves path where it is in use; the pump then asks for another. It is false where path was not. mu is held.
func (s *session) lose(path Path, why string, now time.Duration) bool {
	if !s.paths.Lose(path, now) {
		return false
	}
	s.leavePath()
	s.event(Event{Kind: PathLost, Path: path, Why: why})
	return true
}

// leftPause is how long a peer may be away from our direct path. Its registry and its session change their minds one
// after the other, so it may come back at once.
const leftPause = 50 * time.Millisecond

// newest notes by which path the peer's newest generation comes. mu is held.
func (s *session) newest() {
	if s.paths.Newest(s.paths.LastIn()) {
		s.leftTimer = time.AfterFunc(leftPause, s.follow) // the pump may hang in that path
	}
	s.stayed()
}

// stayed ends waiting for the peer to come back where it has. mu is held.
func (s *session) stayed() {
	if s.leftTimer != nil && !s.paths.Away() {
		s.leftTimer.Stop()
		s.leftTimer = nil
	}
}

// follow leaves a path that the peer has left.
func (s *session) follow() {
	s.mu.Lock()
	defer s.unlock()
	to, away := s.paths.Follow()
	if s.closed || !away {
		return
	}
	now, path := s.all.now(), s.paths.Used()
	s.event(Event{Kind: Left, Path: path, Why: "the other side has left it"})
	s.lose(path, "the other side has left it", now)
	s.switchTo(to, now)
	s.poke()
}

// acknowledgeBy sends the peer an acknowledgement by a path that is not the one in use. mu is held.
func (s *session) acknowledgeBy(path Path) {
	h, aead := s.pair.Stamp(wire.Ack, wire.FrameOverhead)
	var f wire.Fields
	s.pair.Fields(&f)
	s.send.Fields(&f)
	s.recv.FieldsAside(&f)
	s.all.hand(s.remote, path, handshake.Seal(aead, f.Append(wire.AppendHead(make([]byte, 0, wire.FrameOverhead), h))))
}
