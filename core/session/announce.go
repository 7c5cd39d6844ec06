package session

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// An announcement says which address of the sender's runtime the messages behind it come from. It is a record of the
// session: so it is there before the first of them, whatever path each takes, and nobody else has to be asked. What it
// is worth is up to Options.Announced. When the runtime has given an address up it takes the announcement back in the same
// way, behind the last message from there.

const (
	recordAnnounce = 2       // the kind of an announcement
	recordEnded    = 3       // the kind that takes one back
	maxAnnounced   = 1 << 12 // addresses that are remembered as announced; more are announced again
	maxUntaken     = 1 << 8  // of the peer that wait for a message; more are dropped: the address is looked up, or believed longer

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
	coming []claim // of the peer, not taken yet
}

// claim is what a runtime says of an address: that it is its own from now on, or not any more.
type claim struct {
	address message.URL
	ended   bool
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
	s.claim(claim{address: address}, due)
}

// claim puts the record of a claim into the ring. mu is held.
func (s *session) claim(c claim, due time.Duration) {
	record := c.record()
	s.all.sending.Add(int64(costOf(uint64(len(record)+1), 1)))
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
	now, c := s.all.now(), claim{address, true}
	if now-s.usedAt() > lately || !s.fits(costOf(uint64(len(c.record())+1), 1)) {
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

// record is the claim as a record of the session.
func (c claim) record() []byte {
	kind := byte(recordAnnounce)
	if c.ended {
		kind = recordEnded
	}
	record := binary.AppendUvarint(append(make([]byte, 0, len(c.address)+8), kind), uint64(len(c.address)))
	return append(record, c.address...)
}

// forget has everything announced again: the peer may not have it, or not any more. mu is held.
func (a *announcements) forget() { a.last, a.era = "", a.era+1 }

// parseClaim reads a record; ok is false where it is of another kind, or none.
func parseClaim(record []byte) (c claim, ok bool) {
	kind, n := binary.Uvarint(record)
	length, l := binary.Uvarint(record[max(n, 0):])
	if n <= 0 || l <= 0 || kind != recordAnnounce && kind != recordEnded || uint64(len(record)-n-l) != length || length > message.MaxURL {
		return c, false
	}
	address, err := message.ParseURL(string(record[n+l:]))
	return claim{address, kind == recordEnded}, err == nil
}

// announcedBy takes a record of the peer that may be a claim. mu is held.
func (s *session) announcedBy(record []byte) {
	if s.o.Announced == nil || len(s.announced.coming) >= maxUntaken {
		return
	}
	if c, ok := parseClaim(record); ok {
		s.announced.coming = append(s.announced.coming, c)
	}
}

// ending tells whether something that the peer has given up is not taken yet. mu is held.
func (a *announcements) ending() bool {
	return slices.ContainsFunc(a.coming, func(c claim) bool { return c.ended })
}

// takeAnnouncements has what the peer has claimed taken, before the messages behind it are delivered. mu is not held.
func (s *session) takeAnnouncements() {
	s.mu.Lock()
	list := s.announced.coming
	s.announced.coming = nil
	s.unlock()
	var addresses []message.URL
	for i, c := range list {
		addresses = append(addresses, c.address)
		if i+1 < len(list) && list[i+1].ended == c.ended {
			continue
		}
		if !c.ended {
			s.o.Announced(s.all.life, s.remote, addresses)
		} else if s.o.Ended != nil {
			s.o.Ended(s.all.life, s.remote, addresses)
		}
		addresses = addresses[:0:0]
	}
}
