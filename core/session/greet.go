package session

import (
	"errors"
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/pairing"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// greeted takes a hello. mu is held.
func (s *session) greeted(path Path, h wire.Head, body []byte, now time.Duration) {
	var earlier []*handshake.Answer
	if len(body) > 0 && body[0] == handshake.StepThird {
		earlier = s.all.answeredStranger(s.remote, h.To, now)
	}
	c := s.pair.Greeted(path.Stub, h, body, earlier, shared{s.all}, now)
	if c.Adopted {
		s.all.forgetStranger(s.remote)
	}
	s.disturbed(c, now)
}

// disturbed does what something asks for that anybody can have sent. mu is held.
func (s *session) disturbed(c pairing.Change, now time.Duration) {
	s.changed(c, now)
	if !c.Dropped || s.pair.WantsHello() {
		s.poke()
	}
}

// changed does what a change of the pairing asks for. mu is held.
func (s *session) changed(c pairing.Change, now time.Duration) {
	if c.Dropped {
		s.dropped++
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
	if !errors.Is(err, proof.ErrCertificate) {
		return Event{}, false
	}
	return Event{Kind: Untrusted, Why: err.Error() + ": somebody on the way pretends to be this runtime, or its data is damaged; no message was exchanged with it"}, true
}

// shared is what the handshakes of all sessions together may cost.
type shared struct{ all *Sessions }

// Take tells whether a message that came by the stub may be computed on.
func (a shared) Take(stub message.URL, now time.Duration) bool {
	a.all.strangersMu.Lock()
	defer a.all.strangersMu.Unlock()
	return a.all.allowance.take(stub, a.all.epoch.Add(now))
}
