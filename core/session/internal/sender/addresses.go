package sender

import (
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

const maxAnnounced = 1 << 12 // addresses that are remembered as announced; more are announced again

// addresses are which addresses of this runtime the peer has been told of. The zero value works.
type addresses struct {
	last message.URL            // `from` of the message before, of which there is nothing to announce
	told map[message.URL]uint32 // each with the era in which it was
	era  uint32
}

// announce is the claim that m, which is about to enter the ring, needs in front of it.
func (a *addresses) announce(m *message.Message) (c wire.Claim, needed bool) {
	if m.From == a.last {
		return c, false
	}
	a.last = m.From
	if era, told := a.told[m.From]; told && era == a.era { // many take turns
		return c, false
	}
	if m.From.IsRuntime() || m.From.IsBackEnd() || m.From.Scheme() == message.SchemeConnection { // these show, or prove, whose they are
		return c, false
	}
	c.Address = m.From.Base().Canonical()
	return c, a.note(c.Address)
}

// end forgets an address that was announced; it is false where none was.
func (a *addresses) end(address message.URL) bool {
	if a.last.Base().Canonical() == address {
		a.last = ""
	}
	_, told := a.told[address]
	delete(a.told, address)
	return told
}

// note tells whether an address is still to be announced, and takes it for announced from now on.
func (a *addresses) note(address message.URL) bool {
	era, known := a.told[address]
	if known && era == a.era {
		return false
	}
	if !known && len(a.told) >= maxAnnounced || a.told == nil {
		a.told = map[message.URL]uint32{}
	}
	a.told[address] = a.era
	return true
}

// forget has everything announced again: the peer may not have it, or not any more.
func (a *addresses) forget() { a.last, a.era = "", a.era+1 }
