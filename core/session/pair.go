package session

import (
	"errors"
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/pairing"
	"github.com/protofly/protofly/internal/runtimekey"
)

// adopted begins with another peer than before, or with other keys of the same. Messages that were sent to the one before
// are in doubt; those that never were stay in the ring and go to the new one. Numbers go on, so that none is ever used
// twice. Where the peer is in the same life it has dropped the session before, and has accepted nothing that it has not
// told of.
func (s locked) adopted(before uint64, now time.Duration) {
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
	case handshake.SameLife(before, s.pair.Peer()):
		s.forgetClaims()
		s.newLedger(now)
		s.given(s.send.DropAcknowledged(), Expired, "the remote runtime had it, and has dropped the session")
		s.event(Event{Kind: Renewed, Path: s.paths.Used()})
	default:
		s.count.resets++
		s.forgetClaims()
		s.newLedger(now)
		s.reset()
	}
	s.send.Restart()
	s.recv.Restart()
	s.paths.NewPeer()
	s.stayed()
	s.restartProbe(now)
	s.poke()
}

// forgetClaims forgets what this side and the peer's last session have told each other of addresses.
func (s locked) forgetClaims() {
	s.send.ForgetAnnounced()
	s.recv.ForgetClaims()
}

// reset reports what the peer's last life was sent and is not known to have taken.
func (s locked) reset() {
	d := s.send.DropSent()
	s.given(d, Reset, "the remote runtime started again")
	if len(d.Sent) == 0 {
		s.event(Event{Kind: Reset, Path: s.paths.Used(), Why: "the remote runtime started again"})
	}
}

// disturbed does what something asks for that anybody can have sent.
func (s locked) disturbed(c pairing.Change, now time.Duration) {
	s.changed(c, now)
	if c.Wake {
		s.poke()
	}
}

// changed does what a change of the pairing asks for.
func (s locked) changed(c pairing.Change, now time.Duration) {
	if c.Dropped {
		s.count.dropped++
	}
	if c.Probe {
		s.paths.Ask()
	}
	if c.Answer {
		s.recv.Acknowledge()
	}
	if e, ok := impostor(c.Refused); ok {
		e.Path = s.paths.LastIn()
		s.event(e)
	}
	if c.Adopted {
		s.adopted(c.Before, now)
	}
}

// impostor is the event of a handshake that has failed with err, where somebody has not proven to be who it says.
func impostor(err error) (Event, bool) {
	if !errors.Is(err, runtimekey.ErrCertificate) {
		return Event{}, false
	}
	return Event{Kind: Untrusted, Why: err.Error() + ": somebody on the way pretends to be this runtime, or its data is damaged; no message was exchanged with it"}, true
}
