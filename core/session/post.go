package session

import (
	"context"
	"fmt"
	"sync/atomic"

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

// PostTracked is Post, and what becomes of the message is told in an event of the kind [Settled], unless it is given up, which
// is told anyway.
func (s *Sessions) PostTracked(ctx context.Context, remote message.URL, path Path, m message.Message) error {
	return s.send(ctx, true, remote, path, &m, true)
}

// TryPostTracked is PostTracked without waiting; [message.ErrWouldBlock].
func (s *Sessions) TryPostTracked(remote message.URL, path Path, m message.Message) error {
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
		l.unused()
		s.mu.Unlock()
		return false, err
	}
	return false, l.wait(ctx, d, &poster{posted: p, message: *m, path: path, taken: make(chan struct{})})
}
