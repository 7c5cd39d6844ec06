package session

import (
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/outcomes"
)

// An idle session is dropped when nothing was heard of the peer for Options.IdleTimeout, provided that it is clean: all
// that was sent is known to be taken, all that came was taken, and the peer has acknowledged that it knows so. What comes
// then pairs again, under another incarnation of the same life. So the peer knows that nothing which it has sent to the
// session before and has no word of was ever accepted here, and sends it again; and keys, numbers and reports of the
// session before count for nothing.

const (
	evictIdle = time.Minute // a clean session that was idle for so long makes room for another one, where the table is full
	evictPart = 64          // of the table makes room at once
	sweepMin  = time.Second // between two looks for idle sessions
	sweepMax  = 10 * time.Minute
	fullPause = time.Second // before room is sought again where there was none
)

// clean tells whether nothing would be lost or told wrongly if the session were dropped.
func (s locked) clean() bool { return s.still() && s.ledger.Empty() }

// still is clean where the peer may not know of everything that was taken here.
func (s locked) still() bool {
	return !(s.gone || s.pair.Peer() == 0 || s.turn.pumping || s.turn.inline || s.delivering || s.recv.Busy() || s.turn.on != nil ||
		s.send.Waiting() > 0 || !s.send.Empty() || s.send.Outstanding() > 0 || s.recv.Cost() != 0 || s.recv.Backlog() > 0 ||
		s.pair.Opening() || s.recv.Owes() || s.tell.Owes() || s.settled != nil)
}

// forsaken tells whether a session is kept for nothing but a peer that does not acknowledge what it is told, for so long
// that it has given up what it has sent: messages of its own are in doubt there already.
func (s locked) forsaken(now time.Duration) bool {
	most := outcomes.Silence(s.o.TTL)
	return most > 0 && now-s.usedAt() >= most && s.still()
}

// dropIdle drops the session if it is clean and nothing was heard for so long.
func (s *session) dropIdle(idle time.Duration) bool {
	l := s.lock()
	defer l.unlock()
	if s.all.now()-l.usedAt() < idle || !l.clean() {
		return false
	}
	l.drop(handshake.AfterDrop)
	return true
}

// dropForsaken drops the session if it is kept for a peer that has gone. That looks to it as if this runtime had started
// again.
func (s *session) dropForsaken() {
	l := s.lock()
	defer l.unlock()
	if l.forsaken(s.all.now()) {
		l.drop(handshake.AfterLoss)
	}
}

// drop forgets the session; next is the incarnation of the next one.
func (s locked) drop(next func(incarnation uint64) uint64) {
	s.event(Event{Kind: Idle, Path: s.paths.Used(), Why: "nothing was said for long"})
	s.leavePath()
	s.table.forget(s.session)
	s.table.renew(next)
}

// usedAt is when the peer was heard of last.
func (s locked) usedAt() time.Duration { return max(s.tell.HeardAt(), s.pair.PairedAt()) }
