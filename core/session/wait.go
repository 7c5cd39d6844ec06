package session

import (
	"context"
	"fmt"
	"slices"

	"github.com/protofly/protofly/sdk/message"
)

// waiter is one Post that waits for credit or room. Whoever makes room takes its message for it.
type waiter struct {
	posted
	message message.Message
	path    Path
	taken   chan struct{} // closed when the message is in the ring
}

// posted is what the session has to know of a message that is to enter the ring, besides the message.
type posted struct {
	cost    int
	watched bool
}

// wait queues the message behind those that wait for its destination. mu is held, and given back.
func (s *session) wait(ctx context.Context, d *destination, w *waiter) error {
	if len(d.waiters) == 0 {
		s.out.ready = append(s.out.ready, d)
	}
	d.waiters = append(d.waiters, w)
	s.waiters++
	s.admit() // tells the total that we wait for it
	s.unlock()
	var err error
	for err == nil {
		select {
		case <-w.taken:
			return nil
		case <-s.space:
			s.admitAgain()
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-s.all.life.Done():
			err = ErrClosed
		}
	}
	s.mu.Lock()
	defer s.unlock()
	select {
	case <-w.taken:
		return nil
	default:
	}
	if err != ErrClosed {
		err = s.behind(d, err)
	}
	d.waiters = slices.DeleteFunc(d.waiters, func(other *waiter) bool { return other == w })
	if len(d.waiters) == 0 {
		s.out.ready = slices.DeleteFunc(s.out.ready, func(other *destination) bool { return other == d })
		s.out.leave(d)
	}
	s.waiters--
	s.admit()
	return err
}

// behind says what a message has waited for in vain. mu is held.
func (s *session) behind(d *destination, cause error) error {
	if d.count > 0 && !s.out.credit(d, 1, s.peerInbox()) {
		return fmt.Errorf("%w: %s has not taken %d messages that it was sent (%d bytes); its runtime has room for others: %w",
			ErrBackpressure, d.url, d.count, d.cost, cause)
	}
	return fmt.Errorf("%w: %d messages to that runtime are not acknowledged (%d bytes), %s: %w",
		ErrBackpressure, s.ring.next-s.ring.base, s.ring.cost(), d.url, cause)
}

// admitAgain is admit for who does not hold mu.
func (s *session) admitAgain() {
	s.mu.Lock()
	s.admit()
	s.unlock()
}

// admit takes the messages of posters that wait, as far as there are credit and room: of each destination in turn, and
// of each in the order of the calls. mu is held.
func (s *session) admit() {
	o := &s.out
	if s.closed {
		return
	}
	o.full = false
	for i := 0; i < len(o.ready); { // credit only shrinks meanwhile
		d := o.ready[i]
		w := d.waiters[0]
		if !o.credit(d, w.cost, s.peerInbox()) {
			i++
			continue
		}
		if !s.fits(w.cost) {
			s.hunger(true)
			if !s.fits(w.cost) { // nor has the total shrunk before it was known that we wait for that
				o.full = true
				return
			}
		}
		o.ready = slices.Delete(o.ready, i, i+1)
		d.waiters[0] = nil
		if d.waiters = d.waiters[1:]; len(d.waiters) > 0 {
			o.ready = append(o.ready, d) // the others first
		} else {
			d.waiters = nil
		}
		s.waiters--
		path := w.path
		s.posted[s.byDirect(path)]++
		if !s.path.IsZero() {
			path = Path{} // the best one when it came; it may be none any more
		}
		s.take(d, path, &w.message, w.posted)
		s.poke()
		close(w.taken)
	}
	s.hunger(false)
}

// hunger notes whether posters wait for room in the total. mu is held.
func (s *session) hunger(on bool) {
	if s.hungry != on {
		s.hungry = on
		s.all.starve(s, on)
	}
}

// fits tells whether a message of that cost may enter the ring; mu is held. A single message always may.
func (s *session) fits(cost int) bool {
	if used := s.ring.cost() - s.ring.reported; used > 0 && used+cost > s.o.RingBytes {
		return false
	}
	used := s.all.sending.Load()
	return used == 0 || used+int64(cost) <= int64(s.o.TotalBytes)
}

// peerInbox is how much the peer's inbox takes in all, as far as we know.
func (s *session) peerInbox() int {
	if s.inboxOf == 0 {
		return s.o.InboxBytes
	}
	return int(min(s.inboxOf, maxInbox))
}
