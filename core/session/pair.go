package session

import (
	"slices"
	"time"
)

// Pairing: two incarnations each echo a random challenge of the other before any frame of theirs counts. Who echoes a
// challenge that was made now lives now; so neither a frame of an earlier life nor one for an earlier life of ours is
// ever taken for a new one.

const (
	maxHellos   = 4                     // answers to challenges that wait for the pump
	helloTries  = 5                     // of a challenge when nothing waits to be sent
	helloPause  = 50 * time.Millisecond // between two challenges because of strange frames
	firstRoom   = 64 << 10              // bytes sent before the peer has said what it takes
	resumePause = 50 * time.Millisecond // between two requests for the same generation
)

type helloTo struct {
	to uint64
	greeting
}

// pair has a challenge sent, unless one is under way. to is who is meant, 0: whoever lives there. mu is held.
func (s *session) pair(to uint64, now time.Duration) {
	if s.challenge != 0 {
		return
	}
	for s.challenge == 0 {
		s.challenge = random()
	}
	s.helloWait, s.helloN = s.o.ProbeMin, 0
	s.sayHello(helloTo{to: to, greeting: greeting{challenge: s.challenge}}, now)
}

// sayHello queues a hello for the pump. When there are too many it is dropped: the other side repeats its challenge.
func (s *session) sayHello(h helloTo, now time.Duration) {
	if h.challenge != 0 {
		s.helloN++
		s.helloDue = now + s.helloWait
		s.helloWait = min(2*s.helloWait, s.o.ProbeMax)
	}
	if len(s.hellos) < maxHellos && !slices.Contains(s.hellos, h) {
		s.hellos = append(s.hellos, h)
	}
	s.poke()
}

// strange answers a frame that is not of the pair: of another incarnation, or for another one of ours. mu is held.
func (s *session) strange(from uint64, now time.Duration) {
	s.dropped++
	if s.buried(from) || (s.helloLast != 0 && now < s.helloLast+helloPause) {
		return
	}
	s.helloLast = now
	if s.challenge != 0 {
		s.sayHello(helloTo{to: from, greeting: greeting{challenge: s.challenge}}, now)
		return
	}
	s.pair(from, now)
}

// greeted takes a hello. mu is held.
func (s *session) greeted(h head, g greeting, now time.Duration) {
	if s.buried(h.from) {
		s.dropped++
		return
	}
	if g.echo != 0 && g.echo == s.challenge && h.to == s.o.Incarnation {
		s.challenge, s.helloDue = 0, 0
		s.poke() // messages were held back
		if h.from != s.peer {
			s.adopt(h.from, now)
		}
	}
	if g.challenge == 0 {
		return
	}
	answer := helloTo{to: h.from, greeting: greeting{echo: g.challenge}}
	if h.from != s.peer {
		for s.challenge == 0 {
			s.challenge, s.helloWait, s.helloN = random(), s.o.ProbeMin, 0
		}
		answer.challenge = s.challenge
	}
	s.sayHello(answer, now)
}

// buried tells whether the incarnation was replaced by a later one. mu is held.
func (s *session) buried(incarnation uint64) bool {
	return slices.Contains(s.dead[:], incarnation)
}

// adopt makes incarnation the peer. Messages that were sent to the one before are in doubt; those that never were stay
// in the ring and go to the new one. Numbers go on, so that none is ever used twice. mu is held.
func (s *session) adopt(incarnation uint64, now time.Duration) {
	before := s.peer
	s.peer = incarnation
	if before == 0 {
		s.event(Event{Kind: Opened, Path: s.path})
	} else {
		s.resets++
		s.dead[s.deadAt] = before
		s.deadAt = (s.deadAt + 1) % len(s.dead)
		if s.sent > s.ring.base {
			s.giveUp(s.sent, Reset, "the remote runtime started again")
		} else {
			s.event(Event{Kind: Reset, Path: s.path, Why: "the remote runtime started again"})
		}
	}
	s.rewind()
	s.sent, s.room = s.ring.base, firstRoom
	s.seen, s.next = 0, 1
	s.seenOn = Path{}
	s.stay()
	s.resumeGen, s.resumeNow = 0, false
	s.unackedIn, s.bytesIn, s.ackDue = 0, 0, 0
	s.ackNow = true // tells the peer that we are paired, and our room
	s.restartProbe(now)
	s.poke()
}

// tickHello repeats the challenge when it is time. mu is held.
func (s *session) tickHello(now time.Duration) {
	if s.challenge == 0 && s.peer == 0 && !s.ring.empty() {
		s.pair(0, now)
	}
	if s.helloDue == 0 || now < s.helloDue {
		return
	}
	if s.helloN >= helloTries && (s.ring.empty() || s.peer != 0) {
		s.challenge, s.helloDue = 0, 0 // the peer is the one that we know, or nobody answers
		return
	}
	s.sayHello(helloTo{greeting: greeting{challenge: s.challenge}}, now)
}
