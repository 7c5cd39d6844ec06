package session

import "time"

// askPause is how long a peer that has acknowledged messages, and has not said that they were taken, may be silent before
// it is asked. Its word may have been lost for so long that it was given up: it is said again to a peer that is heard of.
const askPause = 15 * time.Second

// silence is how many times Options.TTL a peer that is asked may be silent before its messages are given up.
const silence = 10

// ask has a silent peer asked about what it has acknowledged and is not known to have taken. A peer that does not answer
// at all, for long, has probably gone for good: then these messages are given up, in doubt. mu is held.
func (s *session) ask(now time.Duration) {
	if s.pair.Peer() == 0 || !s.send.Untaken() {
		s.askDue, s.askedAt = 0, 0
		return
	}
	if s.askDue == 0 || s.heardAt > s.askedAt && s.askedAt != 0 {
		s.askDue, s.askedAt = max(s.heardAt, now-s.o.Linger)+askPause, 0
	}
	if now < s.askDue {
		return
	}
	if quiet := s.heardAt + askPause; now < quiet {
		s.askDue = quiet
		return
	}
	if s.askedAt == 0 {
		s.askedAt = now
	}
	if s.o.TTL > 0 && now >= s.askedAt+max(silence*s.o.TTL, 2*askPause) {
		s.given(s.send.DropAcknowledged(), Expired, "the remote runtime had it, and does not answer any more")
		s.askDue, s.askedAt = 0, 0
		return
	}
	s.askDue = now + askPause
	s.paths.Probe()
}
