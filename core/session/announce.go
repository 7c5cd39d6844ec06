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
	l := s.lock()
	defer l.unlock()
	if !s.send.EndAddress(address) || s.gone || s.closing || s.pair.Peer() == 0 {
		return
	}
	now, c := s.all.now(), wire.Claim{Address: address, Ended: true}
	if now-l.usedAt() > lately || !l.fits(wire.Cost(uint64(len(c.Record())+1), 1)) {
		return
	}
	l.claim(c, s.send.Expiry(now))
	l.poke()
}
