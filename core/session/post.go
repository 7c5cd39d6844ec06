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
	_, err := s.send(ctx, true, remote, &path, nil, &m, false)
	return err
}

// TryPost is Post without waiting; [message.ErrWouldBlock].
func (s *Sessions) TryPost(remote message.URL, path Path, m message.Message) error {
	_, err := s.send(context.Background(), false, remote, &path, nil, &m, false)
	return err
}

// PostTracked is Post, and what becomes of the message is told in an event of the kind [Settled], unless it is given up, which
// is told anyway.
func (s *Sessions) PostTracked(ctx context.Context, remote message.URL, path Path, m message.Message) error {
	_, err := s.send(ctx, true, remote, &path, nil, &m, true)
	return err
}

// TryPostTracked is PostTracked without waiting; [message.ErrWouldBlock].
func (s *Sessions) TryPostTracked(remote message.URL, path Path, m message.Message) error {
	_, err := s.send(context.Background(), false, remote, &path, nil, &m, true)
	return err
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
func (l *Line) Post(ctx context.Context, m *message.Message) error {
	return l.post(ctx, true, m)
}

// TryPost is Post without waiting; [message.ErrWouldBlock].
func (l *Line) TryPost(m *message.Message) error {
	return l.post(context.Background(), false, m)
}

func (l *Line) post(ctx context.Context, waits bool, m *message.Message) error {
	known := l.one.Load()
	used, err := l.all.send(ctx, waits, l.remote, &l.path, known, m, false)
	if used != known && used != nil {
		l.one.Store(used)
	}
	return err
}

// send is the one way of a message into a session: known, unless that was forgotten; nil: it is looked up. used is the session that
// it has gone to, or that has refused it.
func (s *Sessions) send(ctx context.Context, waits bool, remote message.URL, path *Path, known *session, m *message.Message, watched bool) (used *session, err error) {
	size := m.RoutingSize() + m.OwnSize()
	if size > wire.MaxMessage {
		return nil, fmt.Errorf("%w: %d bytes, at most %d fit a frame", message.ErrTooLarge, size, wire.MaxMessage)
	}
	key, p := wire.KeyOf(m), posted{cost: wire.Cost(uint64(size), 1), watched: watched}
	for used = known; ; {
		if used != nil {
			if again, err := used.post(ctx, waits, path, key, m, p); !again {
				return used, failed(remote, err)
			}
		}
		if used, err = s.session(remote); err != nil {
			return nil, failed(remote, err)
		}
	}
}

// failed is the error of a post.
func failed(remote message.URL, err error) error {
	if err == nil || err == message.ErrWouldBlock {
		return err
	}
	return fmt.Errorf("post to %s: %w", remote, err)
}
