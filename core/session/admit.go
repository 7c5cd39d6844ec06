package session

import (
	"context"
	"fmt"
	"time"

	"github.com/protofly/protofly/core/session/internal/sender"
	"github.com/protofly/protofly/core/session/internal/wire"
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

// wait queues the message behind those that wait for its destination. It gives the lock back.
func (s locked) wait(ctx context.Context, d *sender.Destination, w *poster) error {
	s.send.Wait(d, w)
	s.admit() // tells the total that we wait for it
	s.unlock()
	var err error
	for err == nil {
		select {
		case <-w.taken:
			return nil
		case <-s.signals.space:
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
	s.unused()
	return err
}

// unused has the pump run once more in a session that was made for a message which has not entered it: a session that has never
// had a peer is forgotten where the pump ends, and nowhere else.
func (s locked) unused() {
	if s.pair.Peer() == 0 && !s.turn.Running() {
		s.poke()
	}
}

// admitAgain is admit for who does not hold mu.
func (s *session) admitAgain() {
	l := s.lock()
	l.admit()
	l.unlock()
}

// admit takes the messages of posters that wait, as far as there are credit and room: of each destination in turn, and of
// each in the order of the calls.
func (s locked) admit() {
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
		s.count.posted[s.byDirect(path)]++
		if !s.paths.None() {
			path = Path{} // the best one when it came; it may be none any more
		}
		s.take(d, path, &w.message, w.posted)
		s.poke()
		close(w.taken)
	}
	s.hunger(false)
}

// hunger notes whether posters wait for room in the total.
func (s locked) hunger(on bool) {
	if s.hungry != on {
		s.hungry = on
		s.all.memory.Starve(s.signals.space, on)
	}
}

// fits tells whether a message of that cost may enter the ring. A single message always may.
func (s locked) fits(cost int) bool { return s.send.Fits(cost) && s.all.memory.Fits(cost) }

// take puts the message into the ring; the caller has it sent. Where the pump is awake it says when the message expires: to
// look at the clock takes as long as much of the rest.
func (s locked) take(d *sender.Destination, path Path, m *message.Message, p posted) {
	switches := !path.IsZero() && !s.paths.Uses(path)
	var now, due time.Duration
	if awake := s.turn.Awake(); switches || !awake {
		now = s.all.now()
		due = s.send.Expiry(now)
	}
	if switches {
		s.send.AnnounceAgain() // the peer may have forgotten what it heard on a path that it does not keep addresses for
	}
	if s.o.Announced != nil {
		if c, needed := s.send.Announce(m); needed {
			s.claim(c, due)
		}
	}
	s.all.memory.Sent(s.send.Push(d, m, p.cost, p.watched, due))
	if switches && s.paths.MayUse(path, now) {
		s.paths.Told(path)
		s.moveTo(path, now)
	}
}

// byDirect is 1 where a message that was posted with path goes by a direct one.
func (s *session) byDirect(path Path) int {
	if path.IsZero() {
		path.Direct = s.paths.Used().Direct
	}
	if path.Direct {
		return 1
	}
	return 0
}

// given reports messages that were given up.
func (s locked) given(d sender.Dropped, kind EventKind, why string) {
	s.lost(d.Sent, Event{Kind: kind, MayHaveArrived: true, Why: why})
	s.lost(d.Unsent, Event{Kind: kind, Why: why})
	s.freed(d.Freed, d.Reports)
}

// lost tells e of the messages, where there are any.
func (s locked) lost(list []message.Message, e Event) {
	if len(list) == 0 {
		return
	}
	e.Path, e.Messages = s.paths.Used(), list
	for i := range list {
		e.IDs = append(e.IDs, list[i].ID)
	}
	s.event(e)
}

// freed lets those in who wait for what was given back.
func (s locked) freed(cost int, reports bool) {
	if reports {
		s.tell.Hurry()
	}
	s.all.memory.Freed(cost)
	s.admit()
}

// claim tells the peer what is behind the messages that were posted so far.
func (s locked) claim(c wire.Claim, due time.Duration) {
	s.all.memory.Sent(s.send.PushRecord(c.Record(), due))
}
