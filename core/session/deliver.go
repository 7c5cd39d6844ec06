package session

import (
	"time"

	"github.com/protofly/protofly/core/session/internal/receiver"
	"github.com/protofly/protofly/sdk/message"
)

// host is what a session's parts may ask of it while nobody holds its lock.
type host struct{ s *session }

// Refused tells that the peer has sent something that is no message.
func (h host) Refused(why error) {
	l := h.s.lock()
	defer l.unlock()
	l.event(Event{Kind: Refused, Path: h.s.paths.Used(), Why: why.Error()})
}

// Go runs f in a goroutine that Close waits for. It is called by somebody whom Close waits for as well.
func (h host) Go(f func()) { h.s.all.wg.Go(f) }

// Owes has the session look at what listeners have settled: at once where it is much.
func (h host) Owes(much bool) {
	l := h.s.lock()
	defer l.unlock()
	if much || l.closing {
		l.tell.Hurry()
		l.poke()
	} else if due := l.tell.Owe(l.all.now()); due != 0 {
		l.pokeAt(due)
	}
}

// SettledLate takes a message of an incarnation that is gone off what waits here.
func (h host) SettledLate(cost int) {
	l := h.s.lock()
	defer l.unlock()
	l.taken(cost)
}

// Refuse has the sender of m told why nobody takes it.
func (h host) Refuse(m message.Message, why error) { h.s.o.Refuse(h.s.remote, m, why) }

// handOver has a goroutine deliver where there is something to deliver and nobody does.
func (s locked) handOver() {
	if s.closed || !s.recv.Start() {
		return
	}
	if s.delivering {
		notify(s.signals.came)
		return
	}
	s.delivering = true
	s.all.wg.Add(1)
	go s.deliver()
}

// deliverHere delivers b for the caller of Receive. What somebody would have to wait for goes to the goroutine.
func (s *session) deliverHere(b *receiver.Batch) {
	defer s.all.wg.Done()
	left, ended := s.deliverBatch(b)
	if ended {
		left = receiver.Batch{}
	}
	l := s.lock()
	s.recv.Finished(left)
	l.handOver()
	l.unlock()
}

// deliverBatch delivers b, behind what the peer has claimed.
func (s *session) deliverBatch(b *receiver.Batch) (left receiver.Batch, ended bool) {
	if b.Claims {
		s.takeClaims()
	}
	return s.out.Deliver(b)
}

// taken takes what was settled off what waits here, and tells the peer when much room has come back.
func (s locked) taken(cost int) {
	s.all.memory.Came(-cost)
	if s.recv.Settled(cost, s.all.memory.Full()) {
		s.poke()
	}
}

// deliver is the goroutine that delivers what those who bring frames do not. It ends when there has been nothing to do for a
// while.
func (s *session) deliver() {
	defer s.all.wg.Done()
	timer := time.NewTimer(s.o.Linger)
	defer timer.Stop()
	var batches []receiver.Batch
	for {
		s.mu.Lock()
		batches = s.recv.Batches(batches)
		s.mu.Unlock()
		for i := range batches {
			if _, ended := s.deliverBatch(&batches[i]); ended {
				return
			}
			batches[i] = receiver.Batch{}
		}
		if len(batches) == 0 && !s.nextBatch(timer) {
			return
		}
	}
}

// nextBatch waits for something to deliver. It is false where the goroutine is to end.
func (s *session) nextBatch(timer *time.Timer) bool {
	for {
		timer.Reset(s.o.Linger)
		select {
		case <-s.signals.came:
			return true
		case <-s.all.life.Done():
			return false
		case <-timer.C:
			s.mu.Lock()
			if !s.recv.Busy() { // else something may have come just now
				s.delivering = false
				s.recv.Rest()
				s.mu.Unlock()
				return false
			}
			s.mu.Unlock()
		}
	}
}

// takeClaims has what the peer has claimed taken, before the messages behind it are delivered.
func (s *session) takeClaims() {
	l := s.lock()
	list := s.recv.TakeClaims()
	l.unlock()
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
	l = s.lock()
	defer l.unlock()
	if s.recv.ClaimsTaken(s.all.memory.Full()) {
		l.poke()
	}
}
