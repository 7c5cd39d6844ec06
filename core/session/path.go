package session

import (
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/wire"
)

// switchTo makes path the one in use and starts a new generation on it: it begins with a RESUME, and everything that is not
// acknowledged is sent again behind it.
func (s locked) switchTo(path Path, now time.Duration) {
	if !s.paths.Uses(path) {
		s.send.AnnounceAgain() // the peer may have forgotten what it heard on a path that it does not keep addresses for
		s.moveTo(path, now)
	}
}

// moveTo is switchTo where the addresses that the peer has to be told of are announced already.
func (s locked) moveTo(path Path, now time.Duration) {
	before := s.paths.Used()
	s.leavePath()
	s.paths.Use(path)
	s.way.take(s.all.life)
	s.event(Event{Kind: Switched, Path: path, Before: before})
	s.send.Rewind()
	if s.pair.Peer() != 0 {
		s.recv.Resume()
	}
	s.restartProbe(now)
	s.pair.NewPath(now)
}

// leavePath ends what is being sent by the path in use.
func (s locked) leavePath() {
	s.way.quit()
	s.paths.Leave()
	s.stayed()
}

// lose leaves path where it is in use; the pump then asks for another. It is false where path was not.
func (s locked) lose(path Path, why string, now time.Duration) bool {
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

// newest notes by which path the peer's newest generation comes.
func (s locked) newest() {
	if s.paths.Newest(s.paths.LastIn()) {
		s.way.left = time.AfterFunc(leftPause, s.follow) // the pump may hang in that path
	}
	s.stayed()
}

// stayed ends waiting for the peer to come back where it has.
func (s locked) stayed() {
	if s.way.left != nil && !s.paths.Away() {
		s.way.left.Stop()
		s.way.left = nil
	}
}

// follow leaves a path that the peer has left.
func (s *session) follow() {
	l := s.lock()
	defer l.unlock()
	to, away := s.paths.Follow()
	if s.closed || !away {
		return
	}
	now, path := s.all.now(), s.paths.Used()
	l.event(Event{Kind: Left, Path: path, Why: "the other side has left it"})
	l.lose(path, "the other side has left it", now)
	l.switchTo(to, now)
	l.poke()
}

// acknowledgeBy sends the peer an acknowledgement by a path that is not the one in use.
func (s locked) acknowledgeBy(path Path) {
	h, aead := s.pair.Stamp(wire.Ack, wire.FrameOverhead)
	var f wire.Fields
	s.pair.Fields(&f)
	s.send.Fields(&f)
	s.recv.FieldsAside(&f)
	s.all.answers.Send(path, s.remote, handshake.Seal(aead, f.Append(wire.AppendHead(make([]byte, 0, wire.FrameOverhead), h))))
}

// waits tells whether the peer has to acknowledge something.
func (s locked) waits() bool { return s.pair.Peer() != 0 && !s.send.Empty() }

// restartProbe begins to wait for an acknowledgement anew.
func (s locked) restartProbe(now time.Duration) { s.paths.Restart(s.waits(), now) }

// cameBy notes by which path the peer's last frame came.
func (s locked) cameBy(path Path) {
	s.paths.Came(path)
	s.out.CameBy(path.Door)
}
