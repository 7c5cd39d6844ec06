package session

import (
	"context"
	"time"
)

// switchTo makes path the one in use and starts a new generation on it: it begins with a RESUME, and everything that
// is not acknowledged is sent again behind it. mu is held.
func (s *session) switchTo(path Path, now time.Duration) {
	if path != s.path {
		s.send.AnnounceAgain() // the peer may have forgotten what it heard on a path that it does not keep addresses for
		s.moveTo(path, now)
	}
}

// moveTo is switchTo where the addresses that the peer has to be told of are announced already. mu is held.
func (s *session) moveTo(path Path, now time.Duration) {
	before := s.path
	s.leavePath()
	s.path = path
	s.pathLife, s.leave = context.WithCancel(s.all.life)
	s.event(Event{Kind: Switched, Path: path, Before: before})
	s.send.Rewind()
	s.resumeNow = s.peer != 0
	s.restartProbe(now)
	if s.opening() || s.third != nil && !s.confirmed {
		s.helloDue, s.helloWait = now, s.o.ProbeMin
	}
	s.routeDue, s.routeWait, s.stalled = 0, s.o.ProbeMin/4, false
}

func (s *session) leavePath() {
	if s.leave != nil {
		s.leave()
	}
	s.path, s.pathLife, s.leave = Path{}, nil, nil
	s.stay()
}

// lose leaves path where it is in use; the pump then asks for another. It is false where path was not. mu is held.
func (s *session) lose(path Path, why string, now time.Duration) bool {
	if s.lastIn == path {
		s.lastIn = Path{}
	}
	if path.IsZero() || s.path != path {
		return false
	}
	s.leavePath()
	s.failed, s.failedTo = path, now+s.failWait
	s.failWait = min(2*s.failWait, s.o.ProbeMax)
	s.routeDue = 0
	s.event(Event{Kind: PathLost, Path: path, Why: why})
	return true
}

// leftPause is how long a peer may be away from our direct path. Its registry and its session change their minds one
// after the other, so it may come back at once.
const leftPause = 50 * time.Millisecond

// peerOn notes by which path the peer's newest generation comes. A peer that has used our direct path and does not any
// more has given it up: its side of it is dead, even if ours, as far as the stub can tell, is not. Whatever we send
// there is lost until somebody notices; so we follow. mu is held.
func (s *session) peerOn(path Path, now time.Duration) {
	before := s.seenOn
	s.seenOn = path
	switch {
	case path == s.path:
		s.stay()
	case before == s.path && s.path.Direct && s.leftTimer == nil:
		s.leftTimer = time.AfterFunc(leftPause, s.follow) // the pump may hang in that path
	}
}

// stay takes back that the peer has left path. mu is held.
func (s *session) stay() {
	if s.leftTimer != nil {
		s.leftTimer.Stop()
		s.leftTimer = nil
	}
}

// follow leaves a path that the peer has left.
func (s *session) follow() {
	s.mu.Lock()
	defer s.unlock()
	if s.closed || s.leftTimer == nil {
		return
	}
	now, path, to := s.all.now(), s.path, s.seenOn
	s.event(Event{Kind: Left, Path: path, Why: "the other side has left it"})
	s.lose(path, "the other side has left it", now)
	s.switchTo(to, now)
	s.poke()
}

// wantsRoute tells whether the pump is to ask for a path now. mu is held.
func (s *session) wantsRoute(now time.Duration) bool {
	if s.reroute {
		return true
	}
	return s.path.IsZero() && s.hasWork() && now >= s.routeDue
}

// routed takes Route's answer. A path that has just failed is given time before it is tried again. mu is held.
func (s *session) routed(path Path, ok bool, now time.Duration) {
	s.reroute = false
	if !ok || path.IsZero() {
		path = Path{}
		if s.path.IsZero() {
			path = s.lastIn
		}
	}
	switch {
	case path.IsZero():
		if s.path.IsZero() {
			s.routeDue = now + s.routeWait
			s.routeWait = min(2*s.routeWait, s.o.ProbeMax)
		}
	case path == s.failed && now < s.failedTo:
		if s.path.IsZero() {
			s.routeDue = s.failedTo
		}
	default:
		s.switchTo(path, now)
	}
}
