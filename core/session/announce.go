package session

import (
	"time"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// An announcement says which address of the sender's runtime the messages behind it come from. It is a record of the
// session: so it is there before the first of them, whatever path each takes, and nobody else has to be asked. What it
// is worth is up to Options.Announced. When the runtime has given an address up it takes the announcement back in the same
// way, behind the last message from there.

// lately is how long ago the peer was heard of to whom an end is told: nobody else has messages under way, and what a
// runtime remembers without a connection expires.
const lately = time.Minute

// Ended says that an address of this runtime has been given up: the runtimes that have been told of it in their sessions, and
// were heard of lately, are told so behind the messages that were posted from there. What is posted from there afterwards
// has it announced again. It does not wait.
func (s *Sessions) Ended(address message.URL) {
	address = address.Base().Canonical()
	for _, one := range s.existing() {
		one.endAddress(address)
	}
}

func (s *session) endAddress(address message.URL) {
	s.mu.Lock()
	defer s.unlock()
	if !s.send.EndAddress(address) || s.gone || s.closing || s.pair.Peer() == 0 {
		return
	}
	now, c := s.all.now(), wire.Claim{Address: address, Ended: true}
	if now-s.usedAt() > lately || !s.fits(wire.Cost(uint64(len(c.Record())+1), 1)) {
		return
	}
	s.claim(c, s.send.Expiry(now))
	s.poke()
}

// claim tells the peer what is behind the messages that were posted so far. mu is held.
func (s *session) claim(c wire.Claim, due time.Duration) {
	s.all.sending.Add(int64(s.send.PushRecord(c.Record(), due)))
}

// takeClaims has what the peer has claimed taken, before the messages behind it are delivered. mu is not held.
func (s *session) takeClaims() {
	s.mu.Lock()
	list := s.recv.TakeClaims()
	s.unlock()
	var addresses []message.URL
	for i, c := range list {
		addresses = append(addresses, c.Address)
		if i+1 < len(list) && list[i+1].Ended == c.Ended {
			continue
		}
		if !c.Ended {
			s.o.Announced(s.all.life, s.remote, addresses)
		} else if s.o.Ended != nil {
			s.o.Ended(s.all.life, s.remote, addresses)
		}
		addresses = addresses[:0:0]
	}
	s.mu.Lock()
	defer s.unlock()
	if s.recv.ClaimsTaken(s.all.full()) {
		s.poke()
	}
}
