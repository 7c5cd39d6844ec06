package session

import (
	"slices"
	"time"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// An announcement says which address of the sender's runtime the messages behind it come from. It is a record of the
// session: so it is there before the first of them, whatever path each takes, and nobody else has to be asked. What it
// is worth is up to Options.Announced. When the runtime has given an address up it takes the announcement back in the same
// way, behind the last message from there.

const (
	maxAnnounced = 1 << 12 // addresses that are remembered as announced; more are announced again

	// Claims of the peer that wait for the messages behind them to be delivered. Where there are maxUntaken announcements no
	// more frames with messages are taken while messages wait; more ends than that are dropped, and believed longer. What one
	// frame brings fits into the other two, unless it is mostly announcements: then some are dropped, and looked up.
	maxUntaken      = 1 << 8
	maxClaims       = 1 << 12
	maxUntakenBytes = 256 << 10

	// lately is how long ago the peer was heard of to whom an end is told: nobody else has messages under way, and what a
	// runtime remembers without a connection expires.
	lately = time.Minute
)

// announcements are which addresses of this runtime the peer has been told of, and which of its own it has told. The
// session's mu guards them.
type announcements struct {
	last   message.URL            // `from` of the message before, of which there is nothing to announce
	told   map[message.URL]uint32 // each with the era in which it was
	era    uint32
	coming []wire.Claim // of the peer, not taken yet
	fresh  int          // of them, those that are no ends
	size   int          // of the addresses of these
}

// announce tells the peer of the address that m, which is about to enter the ring, is from. mu is held.
func (s *session) announce(m *message.Message, due time.Duration) {
	a := &s.announced
	if m.From == a.last || s.o.Announced == nil {
		return
	}
	a.last = m.From
	if era, told := a.told[m.From]; told && era == a.era { // many take turns
		return
	}
	if m.From.IsRuntime() || m.From.IsBackEnd() || m.From.Scheme() == message.SchemeConnection { // these show, or prove, whose they are
		return
	}
	address := m.From.Base().Canonical()
	if !a.note(address) {
		return
	}
	s.claim(wire.Claim{Address: address}, due)
}

// claim puts the record of a claim into the ring. mu is held.
func (s *session) claim(c wire.Claim, due time.Duration) {
	record := c.Record()
	s.all.sending.Add(int64(wire.Cost(uint64(len(record)+1), 1)))
	s.ring.pushRecord(record, due)
}

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
	if !s.announced.end(address) || s.gone || s.closing || s.peer == 0 {
		return
	}
	now, c := s.all.now(), wire.Claim{Address: address, Ended: true}
	if now-s.usedAt() > lately || !s.fits(wire.Cost(uint64(len(c.Record())+1), 1)) {
		return
	}
	s.claim(c, s.expiry(now))
	s.poke()
}

// end forgets an address that was announced; it is false where none was.
func (a *announcements) end(address message.URL) bool {
	if a.last.Base().Canonical() == address {
		a.last = ""
	}
	_, told := a.told[address]
	delete(a.told, address)
	return told
}

// note tells whether an address is still to be announced, and takes it for announced from now on.
func (a *announcements) note(address message.URL) bool {
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

// forget has everything announced again: the peer may not have it, or not any more. mu is held.
func (a *announcements) forget() { a.last, a.era = "", a.era+1 }

// announcedBy takes a record of the peer that may be a claim. mu is held.
func (s *session) announcedBy(record []byte) {
	if s.o.Announced == nil {
		return
	}
	c, ok := wire.ParseClaim(record)
	switch a := &s.announced; {
	case !ok:
	case c.Ended && len(a.coming)-a.fresh < maxUntaken:
		a.coming = append(a.coming, c)
	case !c.Ended && a.fresh < maxClaims && a.size < maxUntakenBytes:
		a.coming = append(a.coming, c)
		a.fresh++
		a.size += len(c.Address)
	}
}

// crowded tells whether many announcements of the peer are not taken yet. mu is held.
func (a *announcements) crowded() bool {
	return a.fresh >= maxUntaken || a.size >= maxUntakenBytes/2
}

// ending tells whether something that the peer has given up is not taken yet. mu is held.
func (a *announcements) ending() bool {
	return slices.ContainsFunc(a.coming, func(c wire.Claim) bool { return c.Ended })
}

// takeAnnouncements has what the peer has claimed taken, before the messages behind it are delivered. mu is not held.
func (s *session) takeAnnouncements() {
	s.mu.Lock()
	list := s.announced.coming
	s.announced.coming, s.announced.fresh, s.announced.size = nil, 0, 0
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
	if s.inbox.overrun && s.roomNow() > 0 { // what was not taken meanwhile is sent again
		s.inbox.overrun = false
		s.resumeNow = true
		s.poke()
	}
}
