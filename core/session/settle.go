package session

import (
	"time"

	"github.com/protofly/protofly/core/session/internal/outcomes"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// collect takes what was settled off what waits here, and makes reports of it as far as they may be sent now.
func (s locked) collect(now time.Duration) {
	s.tell.Told()
	cost := s.ledger.Collect()
	for s.tell.MayTell() && s.pair.Peer() != 0 && s.send.MayReport() {
		record, ok := s.ledger.Report(s.pair.Peer())
		if !ok {
			break
		}
		s.all.memory.Sent(s.send.PushRecord(record, s.send.Expiry(now)))
	}
	s.ledger.Room(s.o.InboxBytes - s.recv.Cost() + cost)
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
	if s.ledger.GiveBack(records, s.pair.Peer()) {
		s.tell.Hold()
	}
}

// newLedger forgets what is owed to the peer's last life. Its messages that are here go on to their listeners.
func (s locked) newLedger(now time.Duration) {
	s.tell.Hold() // nothing of this goes to the new life
	s.collect(now)
	s.ledger.Close()
	s.ledger = outcomes.NewLedger(host{s.session}, s.o.InboxBytes)
	s.tell.Release()
}
