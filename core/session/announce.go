package session

import (
	"encoding/binary"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// An announcement says which address of the sender's runtime the messages behind it come from. It is a record of the
// session: so it is there before the first of them, whatever path each takes, and nobody else has to be asked. What it
// is worth is up to Options.Announced.

const (
	recordAnnounce = 2       // the kind of an announcement
	maxAnnounced   = 1 << 12 // addresses that are remembered as announced; more are announced again
	maxUntaken     = 1 << 8  // announcements of the peer that wait for a message; more are dropped: the address is looked up
)

// announcements are which addresses of this runtime the peer has been told of, and which of its own it has told. The
// session's mu guards them.
type announcements struct {
	last   message.URL // `from` of the message before, of which there is nothing to announce
	told   map[message.URL]struct{}
	coming []message.URL // of the peer, not taken yet
}

// announce tells the peer of the address that m, which is about to enter the ring, is from. mu is held.
func (s *session) announce(m *message.Message, due time.Duration) {
	a := &s.announced
	if m.From == a.last || s.o.Announced == nil {
		return
	}
	a.last = m.From
	if _, known := a.told[m.From]; known { // many take turns
		return
	}
	if m.From.IsRuntime() || m.From.IsBackEnd() || m.From.Scheme() == message.SchemeConnection { // these show, or prove, whose they are
		return
	}
	address := m.From.Base().Canonical()
	if !a.note(address) {
		return
	}
	record := announcementOf(address)
	s.all.sending.Add(int64(costOf(uint64(len(record)+1), 1)))
	s.ring.pushRecord(record, due)
}

// note tells whether an address is still to be announced, and takes it for announced from now on.
func (a *announcements) note(address message.URL) bool {
	if _, known := a.told[address]; known {
		return false
	}
	if a.told == nil || len(a.told) >= maxAnnounced {
		a.told = map[message.URL]struct{}{}
	}
	a.told[address] = struct{}{}
	return true
}

// announcementOf is the record that announces an address.
func announcementOf(address message.URL) []byte {
	record := binary.AppendUvarint(append(make([]byte, 0, len(address)+8), recordAnnounce), uint64(len(address)))
	return append(record, address...)
}

// forget has everything announced again: the peer may not have it, or not any more. mu is held.
func (a *announcements) forget() { a.last, a.told = "", nil }

// parseAnnouncement reads a record; ok is false where it is of another kind, or none.
func parseAnnouncement(record []byte) (address message.URL, ok bool) {
	kind, n := binary.Uvarint(record)
	length, l := binary.Uvarint(record[max(n, 0):])
	if n <= 0 || l <= 0 || kind != recordAnnounce || uint64(len(record)-n-l) != length || length > message.MaxURL {
		return "", false
	}
	address, err := message.ParseURL(string(record[n+l:]))
	return address, err == nil
}

// announcedBy takes a record of the peer that may be an announcement. mu is held.
func (s *session) announcedBy(record []byte) {
	if s.o.Announced == nil || len(s.announced.coming) >= maxUntaken {
		return
	}
	if address, ok := parseAnnouncement(record); ok {
		s.announced.coming = append(s.announced.coming, address)
	}
}

// takeAnnouncements has what the peer has announced taken, before the messages behind it are delivered. mu is not held.
func (s *session) takeAnnouncements() {
	s.mu.Lock()
	list := s.announced.coming
	s.announced.coming = nil
	s.unlock()
	if len(list) > 0 {
		s.o.Announced(s.all.life, s.remote, list)
	}
}
