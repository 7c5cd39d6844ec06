package session

import (
	"time"

	"github.com/protofly/protofly/core/session/internal/outcomes"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// owes has the session look at what listeners have settled: at once where it is much.
func (s *session) owes(much bool) {
	l := s.lock()
	if much || s.closing {
		s.tell.Hurry()
		l.poke()
	} else if due := s.tell.Owe(s.all.now()); due != 0 {
		l.pokeAt(due)
	}
	l.unlock()
}

// collect takes what was settled off what waits here, and makes reports of it as far as they may be sent now.
func (s locked) collect(now time.Duration) {
	s.tell.Told()
	a := s.ledger
	a.mu.Lock()
	cost := a.owed.Collect()
	for s.tell.MayTell() && s.pair.Peer() != 0 && s.send.MayReport() {
		record, ok := a.owed.Report(s.pair.Peer())
		if !ok {
			break
		}
		s.all.memory.sent(s.send.PushRecord(record, s.send.Expiry(now)))
	}
	// A quarter of what one destination may have on the way at least: it may be waiting for that.
	a.owed.Much(min(s.o.InboxBytes/64, max(0, s.o.InboxBytes-s.recv.Cost()+cost)/256))
	a.mu.Unlock()
	s.taken(cost)
}

// reportedBy takes a record of the peer.
func (s locked) reportedBy(text []byte) {
	incarnation, code, spans, ok, err := wire.ParseReport(text)
	if !ok { // of a kind that we do not know
		return
	}
	if err != nil || incarnation != s.pair.Own() {
		s.count.dropped++
		return
	}
	e := Event{Kind: Settled, Code: code}
	var watched []message.Message
	cost := 0
	for last := uint64(0); len(spans) > 0; {
		var sp wire.Span
		if sp, spans, err = wire.NextSpan(spans, last); err != nil {
			s.count.dropped++
			break
		}
		last = sp.B
		freed, ok := s.send.Taken(sp, func(m message.Message) { watched = append(watched, m) })
		if !ok {
			s.count.dropped++
			break
		}
		cost += freed
	}
	s.lost(watched, e)
	s.freed(cost, false)
}

// tellAgain takes reports that were given up back: they are made again when the peer is heard of.
func (s locked) tellAgain(records [][]byte) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	for _, r := range records {
		if s.ledger.owed.GiveBack(r, s.pair.Peer()) {
			s.tell.Hold()
		}
	}
}

// newLedger forgets what is owed to the peer's last life. Its messages that are here go on to their listeners.
func (s locked) newLedger(now time.Duration) {
	s.tell.Hold() // nothing of this goes to the new life
	s.collect(now)
	s.ledger.mu.Lock()
	s.ledger.closed = true
	s.ledger.owed.Forget()
	s.ledger.mu.Unlock()
	s.ledger = &ledger{owner: s, owed: outcomes.NewOwed(s.o.InboxBytes)}
	s.tell.Release()
}

// settledLate takes a message of an incarnation that is gone off what waits here.
func (s *session) settledLate(cost int) {
	l := s.lock()
	defer l.unlock()
	l.taken(cost)
}

// refuse has the sender of m told why nobody takes it.
func (s *session) refuse(m message.Message, why error) { s.o.Refuse(s.remote, m, why) }
