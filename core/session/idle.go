package session

import (
	"cmp"
	"slices"
	"time"
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

// clean tells whether nothing would be lost or told wrongly if the session were dropped. mu is held.
func (s *session) clean() bool {
	if !s.still() {
		return false
	}
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	return len(s.account.owed) == 0 && s.account.cost == 0
}

// still is clean where the peer may not know of everything that was taken here. mu is held.
func (s *session) still() bool {
	return !(s.gone || s.pair.Peer() == 0 || s.pumping || s.inline || s.delivering || s.recv.Busy() || s.sendingOn != nil ||
		s.send.Waiting() > 0 || !s.send.Empty() || s.send.Outstanding() > 0 || s.recv.Cost() != 0 || s.recv.Backlog() > 0 ||
		s.pair.Opening() || s.recv.Owes() || s.tellNow || s.tellDue != 0 || s.settled != nil)
}

// forsaken tells whether a session is kept for nothing but a peer that does not acknowledge what it is told, for so long
// that it has given up what it has sent: messages of its own are in doubt there already. mu is held.
func (s *session) forsaken(now time.Duration) bool {
	return s.o.TTL > 0 && now-s.usedAt() >= max(silence*s.o.TTL, 2*askPause) && s.still()
}

// dropIdle drops the session if it is clean and nothing was heard for so long.
func (s *session) dropIdle(idle time.Duration) bool {
	s.mu.Lock()
	defer s.unlock()
	if s.all.now()-s.usedAt() < idle || !s.clean() {
		return false
	}
	s.drop(afterDrop)
	return true
}

// dropForsaken drops the session if it is kept for a peer that has gone. That looks to it as if this runtime had started
// again.
func (s *session) dropForsaken() {
	s.mu.Lock()
	defer s.unlock()
	if s.forsaken(s.all.now()) {
		s.drop(afterLoss)
	}
}

// drop forgets the session; next is the incarnation of the next one. mu is held.
func (s *session) drop(next func(incarnation uint64) uint64) {
	s.event(Event{Kind: Idle, Path: s.paths.Used(), Why: "nothing was said for long"})
	s.leavePath()
	s.all.forget(s)
	s.all.renew(next)
}

// usedAt is when the peer was heard of last. mu is held.
func (s *session) usedAt() time.Duration { return max(s.heardAt, s.pair.PairedAt()) }

// sweepSoon has idle sessions and unfinished handshakes looked for from now on.
func (s *Sessions) sweepSoon() {
	s.sweepMu.Lock()
	defer s.sweepMu.Unlock()
	pause := s.sweepPause()
	due := s.now() + pause
	switch {
	case s.life.Err() != nil || s.isClosing():
	case s.sweeper == nil:
		s.sweeper, s.sweepDue = time.AfterFunc(pause, s.sweep), due
	case due < s.sweepDue && s.sweeper.Stop(): // else it looks just now
		s.sweeper, s.sweepDue = time.AfterFunc(pause, s.sweep), due
	}
}

// sweepPause is how long nothing need be looked for.
func (s *Sessions) sweepPause() time.Duration {
	pause := sweepMax
	if s.o.IdleTimeout > 0 {
		pause = min(pause, max(s.o.IdleTimeout/4, sweepMin))
	}
	s.strangersMu.Lock()
	defer s.strangersMu.Unlock()
	if s.strangers.pool.count > 0 {
		pause = min(pause, 2*pendingTime)
	}
	return pause
}

// sweep drops what was idle for too long.
func (s *Sessions) sweep() {
	if !s.begin() {
		return
	}
	defer s.wg.Done()
	s.sweepMu.Lock()
	s.sweeper = nil
	s.sweepMu.Unlock()
	s.strangersMu.Lock()
	s.strangers.pool.expire(s.now())
	left := s.strangers.pool.count
	s.strangersMu.Unlock()
	list := s.existing()
	left += len(list)
	if s.o.IdleTimeout > 0 {
		for _, one := range list {
			one.dropIdle(s.o.IdleTimeout)
		}
	}
	if left > 0 {
		s.sweepSoon()
	}
}

// evict drops sessions that are clean, those first that were idle for longest. Where there are none it drops those that
// are kept for peers that have gone.
func (s *Sessions) evict() {
	now := s.now()
	s.sweepMu.Lock()
	vain := s.fullUntil != 0 && now < s.fullUntil
	s.fullUntil = now + fullPause
	s.sweepMu.Unlock()
	if vain {
		return
	}
	type candidate struct {
		one  *session
		used time.Duration
	}
	var list, forsaken []candidate
	for _, one := range s.existing() {
		one.mu.Lock()
		switch used := one.usedAt(); {
		case now-used >= evictIdle && one.clean():
			list = append(list, candidate{one, used})
		case one.forsaken(now):
			forsaken = append(forsaken, candidate{one, used})
		}
		one.unlock()
	}
	drop := func(one *session) { one.dropIdle(evictIdle) }
	if len(list) == 0 {
		list, drop = forsaken, (*session).dropForsaken
	}
	slices.SortFunc(list, func(a, b candidate) int { return cmp.Compare(a.used, b.used) })
	for _, c := range list[:min(len(list), max(1, s.o.Sessions/evictPart))] {
		drop(c.one)
	}
	if len(list) > 0 {
		s.sweepMu.Lock()
		s.fullUntil = 0
		s.sweepMu.Unlock()
	}
}
