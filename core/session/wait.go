package session

import (
	"context"
	"fmt"

	"github.com/protofly/protofly/core/session/internal/sender"
	"github.com/protofly/protofly/sdk/message"
)

// poster is one Post that waits for credit or room. Whoever makes room takes its message for it.
type poster struct {
	posted
	message message.Message
	path    Path
	taken   chan struct{} // closed when the message is in the ring
}

// Cost is what the message counts for.
func (p *poster) Cost() int { return p.cost }

// posted is what the session has to know of a message that is to enter the ring, besides the message.
type posted struct {
	cost    int
	watched bool
}

// wait queues the message behind those that wait for its destination. mu is held, and given back.
func (s *session) wait(ctx context.Context, d *sender.Destination, w *poster) error {
	s.send.Wait(d, w)
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
		err = fmt.Errorf("%w: %s: %w", ErrBackpressure, s.send.Behind(d), err)
	}
	s.send.StopWaiting(d, w)
	s.admit()
	return err
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
	if s.closed {
		return
	}
	s.send.Full(false)
	for at := 0; ; {
		next, place, ok := s.send.Next(at)
		if !ok {
			break
		}
		if at = place; !s.fits(next.Cost()) {
			s.hunger(true)
			if !s.fits(next.Cost()) { // nor has the total shrunk before it was known that we wait for that
				s.send.Full(true)
				return
			}
		}
		d, w := s.send.Serve(place), next.(*poster)
		path := w.path
		s.posted[s.byDirect(path)]++
		if !s.paths.None() {
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
func (s *session) fits(cost int) bool { return s.send.Fits(cost) && s.all.fits(cost) }
