package session

import (
	"time"

	"github.com/protofly/protofly/core/session/internal/outcomes"
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

// reported takes a record of the peer that may say what became of our messages.
func (s locked) reported(record []byte) {
	r, ok := s.send.Reported(record, s.pair.Own())
	if !ok {
		return
	}
	if r.Impossible {
		s.count.dropped++
	}
	s.lost(r.Watched, Event{Kind: Settled, Code: r.Code})
	s.freed(r.Freed, false)
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
