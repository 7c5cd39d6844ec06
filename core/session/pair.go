package session

import (
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
)

// adopt makes the incarnation of a handshake that has ended the peer. mu is held.
func (s *session) adopt(got handshake.Agreed, confirmed bool, now time.Duration) {
	s.adopted(s.pair.Adopt(got, confirmed, now), now)
}

// adopted begins with another peer than before, or with other keys of the same. Messages that were sent to the one before are
// in doubt; those that never were stay in the ring and go to the new one. Numbers go on, so that none is ever used twice.
// Where the peer is in the same life it has dropped the session before, and has accepted nothing that it has not told of. mu
// is held.
func (s *session) adopted(before uint64, now time.Duration) {
	switch {
	case before == s.pair.Peer():
		s.send.Rewind()
		s.recv.Acknowledge()
		s.recv.Resume()
		s.restartProbe(now)
		s.poke()
		return
	case before == 0:
		s.event(Event{Kind: Opened, Path: s.paths.Used()})
	case sameLife(before, s.pair.Peer()):
		s.forgetClaims()
		s.newAccount(now)
		s.given(s.send.DropAcknowledged(), Expired, "the remote runtime had it, and has dropped the session")
		s.event(Event{Kind: Renewed, Path: s.paths.Used()})
	default:
		s.resets++
		s.forgetClaims()
		s.newAccount(now)
		s.reset()
	}
	s.send.Restart()
	s.recv.Restart()
	s.paths.NewPeer()
	s.stayed()
	s.restartProbe(now)
	s.poke()
}

// forgetClaims forgets what this side and the peer's last session have told each other of addresses. mu is held.
func (s *session) forgetClaims() {
	s.send.ForgetAnnounced()
	s.recv.ForgetClaims()
}

// reset reports what the peer's last life was sent and is not known to have taken. mu is held.
func (s *session) reset() {
	d := s.send.DropSent()
	s.given(d, Reset, "the remote runtime started again")
	if len(d.Sent) == 0 {
		s.event(Event{Kind: Reset, Path: s.paths.Used(), Why: "the remote runtime started again"})
	}
}

// newAccount forgets what is owed to the peer's last life. Its messages that are here go on to their listeners. mu is
// held.
func (s *session) newAccount(now time.Duration) {
	s.tellHeld = true // nothing of this goes to the new life
	s.collect(now)
	s.account.mu.Lock()
	s.account.closed, s.account.owed, s.account.spans = true, nil, 0
	s.account.mu.Unlock()
	s.account = newAccount(s)
	s.tellHeld = false
}
