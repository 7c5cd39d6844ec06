package sender

import "slices"

// Wait queues a message behind those that wait for its destination.
func (s *Sender) Wait(d *Destination, w Waiter) {
	if len(d.waiters) == 0 {
		s.out.ready = append(s.out.ready, d)
	}
	d.waiters = append(d.waiters, w)
	s.out.waiting++
}

// StopWaiting takes a message out of its queue.
func (s *Sender) StopWaiting(d *Destination, w Waiter) {
	d.waiters = slices.DeleteFunc(d.waiters, func(other Waiter) bool { return other == w })
	if len(d.waiters) == 0 {
		s.out.ready = slices.DeleteFunc(s.out.ready, func(other *Destination) bool { return other == d })
		s.out.leave(d)
	}
	s.out.waiting--
}

// Waiting is how many messages wait.
func (s *Sender) Waiting() int { return s.out.waiting }

// Next is the first message that waits and has credit, among the destinations from place at on. It may enter where it
// fits. Credit only shrinks while messages enter, so the places before need not be looked at again.
func (s *Sender) Next(at int) (w Waiter, place int, ok bool) {
	for ; at < len(s.out.ready); at++ {
		d := s.out.ready[at]
		if s.out.credit(d, d.waiters[0].Cost(), s.peerInbox()) {
			return d.waiters[0], at, true
		}
	}
	return nil, at, false
}

// Serve takes the message that Next has found out of its queue, and says where it goes. The other destinations come first
// from then on.
func (s *Sender) Serve(place int) *Destination {
	d := s.out.ready[place]
	s.out.ready = slices.Delete(s.out.ready, place, place+1)
	d.waiters[0] = nil
	if d.waiters = d.waiters[1:]; len(d.waiters) > 0 {
		s.out.ready = append(s.out.ready, d)
	}
	s.out.waiting--
	return d
}

// Full notes whether the next message that waits finds no room: then none may enter before it.
func (s *Sender) Full(full bool) { s.out.full = full }
