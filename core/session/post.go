package session

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/core/session/internal/sender"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// Post takes m, which has been validated, for remote: it gives it the next number, keeps it until it is acknowledged, and has it
// sent on path. It returns when m is taken, which says nothing about its arrival; see [Event] for what is told later. Messages
// to one destination (m.To, responses apart) are delivered in the order in which calls of Post returned, or were made by one
// goroutine.
//
// A path other than the one in use switches to it; the zero Path is the one in use, or Options.Route's. While the ring
// is full, or the destination is behind and has its share of the peer's inbox, Post waits; when ctx ends before, the
// error is [ErrBackpressure] and says which. Others who post to other destinations do not wait for that.
func (s *Sessions) Post(ctx context.Context, remote message.URL, path Path, m message.Message) error {
	return s.send(ctx, true, remote, path, &m, false)
}

// TryPost is Post without waiting; [message.ErrWouldBlock].
func (s *Sessions) TryPost(remote message.URL, path Path, m message.Message) error {
	return s.send(context.Background(), false, remote, path, &m, false)
}

// Line is where messages to one remote runtime are posted, by one path, again and again. Its methods may be called from
// many goroutines.
type Line struct {
	all    *Sessions
	remote message.URL
	path   Path
	one    atomic.Pointer[session] // the session when it was last looked up
}

// Line makes a line to the runtime remote. The error is that of a Post.
func (s *Sessions) Line(remote message.URL, path Path) (*Line, error) {
	one, err := s.session(remote)
	if err != nil {
		return nil, fmt.Errorf("post to %s: %w", remote, err)
	}
	l := &Line{all: s, remote: remote, path: path}
	l.one.Store(one)
	return l, nil
}

// Post is [Sessions.Post], by the path of the line. m is not kept.
func (l *Line) Post(ctx context.Context, m *message.Message) error { return l.post(ctx, true, m) }

// TryPost is Post without waiting; [message.ErrWouldBlock].
func (l *Line) TryPost(m *message.Message) error { return l.post(context.Background(), false, m) }

func (l *Line) post(ctx context.Context, waits bool, m *message.Message) error {
	key, p, err := weigh(m)
	if err != nil {
		return err
	}
	for {
		again, err := l.one.Load().post(ctx, waits, l.path, key, m, p)
		if again {
			var one *session
			if one, err = l.all.session(l.remote); err == nil {
				l.one.Store(one)
				continue
			}
		}
		return failed(l.remote, err)
	}
}

// Watch is Post, and what becomes of the message is told in an event of the kind [Settled], unless it is given up, which
// is told anyway.
func (s *Sessions) Watch(ctx context.Context, remote message.URL, path Path, m message.Message) error {
	return s.send(ctx, true, remote, path, &m, true)
}

// TryWatch is Watch without waiting; [message.ErrWouldBlock].
func (s *Sessions) TryWatch(remote message.URL, path Path, m message.Message) error {
	return s.send(context.Background(), false, remote, path, &m, true)
}

func (s *Sessions) send(ctx context.Context, waits bool, remote message.URL, path Path, m *message.Message, watched bool) error {
	key, p, err := weigh(m)
	if err != nil {
		return err
	}
	p.watched = watched
	for {
		one, err := s.session(remote)
		if err == nil {
			var again bool
			if again, err = one.post(ctx, waits, path, key, m, p); again {
				continue
			}
		}
		return failed(remote, err)
	}
}

// failed is the error of a post.
func failed(remote message.URL, err error) error {
	if err == nil || err == message.ErrWouldBlock {
		return err
	}
	return fmt.Errorf("post to %s: %w", remote, err)
}

// weigh is what a session wants to know of a message before it takes it.
func weigh(m *message.Message) (key wire.Key, p posted, err error) {
	size := m.RoutingSize() + m.OwnSize()
	if size > wire.MaxMessage {
		return key, p, fmt.Errorf("%w: %d bytes, at most %d fit a frame", message.ErrTooLarge, size, wire.MaxMessage)
	}
	return wire.KeyOf(m), posted{cost: wire.Cost(uint64(size), 1)}, nil
}

// post is Post for the session, or TryPost where it may not wait. again: the session was forgotten meanwhile.
func (s *session) post(ctx context.Context, waits bool, path Path, key wire.Key, m *message.Message, p posted) (again bool, err error) {
	l := s.lock()
	if s.gone {
		s.mu.Unlock()
		return true, nil
	}
	if s.closing {
		s.mu.Unlock()
		return false, ErrClosed
	}
	d := s.send.To(key)
	if s.send.MayEnter(d, p.cost) && s.all.memory.Fits(p.cost) {
		s.count.posted[s.byDirect(path)]++
		l.take(d, path, m, p)
		if l.maySend() {
			l.sendNow()
			return false, nil
		}
		l.wanted(s.turn.Posted(!s.closed))
		l.unlock()
		return false, nil
	}
	if !waits || ctx.Err() != nil {
		err = message.ErrWouldBlock
		if waits {
			err = fmt.Errorf("%w: %s: %w", ErrBackpressure, s.send.Behind(d), context.Cause(ctx))
		}
		s.send.Forget(d)
		s.mu.Unlock()
		return false, err
	}
	return false, l.wait(ctx, d, &poster{posted: p, message: *m, path: path, taken: make(chan struct{})})
}

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
	return err
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
