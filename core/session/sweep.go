package session

import (
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/strangers"
	"github.com/protofly/protofly/core/session/internal/table"
	"github.com/protofly/protofly/sdk/message"
)

// sweepSoon has idle sessions and unfinished handshakes looked for from now on.
func (s *Sessions) sweepSoon() {
	if !s.life.Stopped() {
		handshakes := time.Duration(0)
		if s.strangers.Kept() > 0 {
			handshakes = strangers.PendingTime
		}
		s.sweeping.Soon(table.Pause(s.o.IdleTimeout, handshakes, s.o.Silence.Ask), s.now(), s.sweep)
	}
}

// sweep drops what was idle for too long, and looks for peers that have gone.
func (s *Sessions) sweep() {
	if !s.life.Begin() {
		return
	}
	defer s.life.Done()
	s.sweeping.Began()
	left := s.strangers.Expire(s.now())
	list := s.existing()
	left += len(list)
	for _, one := range list {
		keeps := s.o.Silence.Keeps(one.remote)
		if s.o.IdleTimeout > 0 && !keeps {
			s.dropIdle(one, s.o.IdleTimeout)
		}
		s.buryGone(one, keeps)
	}
	if left > 0 {
		s.sweepSoon()
	}
}

// evictIdle is how long a clean session was idle that makes room for another one, where the table is full.
const evictIdle = time.Minute

// dropIdle drops a session that nobody needs, if nothing was exchanged for so long.
func (s *Sessions) dropIdle(one *session, idle time.Duration) {
	one.with(func(m *machine, now time.Duration) {
		if m.idle(idle, now) {
			s.renew(handshake.AfterDrop) // before the next one can be made
			m.drop()
		}
	})
}

// buryGone drops a session whose peer has gone. That looks to it as if this runtime had started again, should it come back.
func (s *Sessions) buryGone(one *session, keeps bool) {
	exchanged := one.out.Received()
	one.with(func(m *machine, now time.Duration) {
		if m.look(exchanged+m.count.posted[0]+m.count.posted[1], keeps, now) {
			s.renew(handshake.AfterLoss)
			m.bury(now)
		}
	})
}

// Away says that the Message Node behind a stub does not know the runtime remote: it is not connected to it, as the node says.
func (s *Sessions) Away(remote, stub message.URL) {
	if one := s.find(remote.Canonical()); one != nil {
		one.with(func(m *machine, now time.Duration) { m.away(stub, now) })
	}
}

// dropForsaken drops a session that is kept for a peer that has gone. That looks to it as if this runtime had started again.
func (s *Sessions) dropForsaken(one *session) {
	one.with(func(m *machine, now time.Duration) {
		if m.forsaken(now) {
			s.renew(handshake.AfterLoss)
			m.drop()
		}
	})
}

// evict drops sessions that are clean, those first that were idle for longest. Where there are none it drops those that
// are kept for peers that have gone.
func (s *Sessions) evict() {
	now := s.now()
	if s.sweeping.Vain(now) {
		return
	}
	var list, forsaken []table.Candidate[*session]
	for _, one := range s.existing() {
		one.with(func(m *machine, now time.Duration) {
			c := table.Candidate[*session]{One: one, Used: m.usedAt()}
			switch {
			case m.idle(evictIdle, now):
				list = append(list, c)
			case m.forsaken(now):
				forsaken = append(forsaken, c)
			}
		})
	}
	drop := func(one *session) { s.dropIdle(one, evictIdle) }
	if len(list) == 0 {
		list, drop = forsaken, s.dropForsaken
	}
	for _, c := range s.table.Oldest(list) {
		drop(c.One)
	}
	if len(list) > 0 {
		s.sweeping.Room()
	}
}
