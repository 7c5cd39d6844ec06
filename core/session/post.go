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
	return (&Line{all: s, remote: remote, path: path}).post(ctx, true, &m, false)
}

// TryPost is Post without waiting; [message.ErrWouldBlock].
func (s *Sessions) TryPost(remote message.URL, path Path, m message.Message) error {
	return (&Line{all: s, remote: remote, path: path}).post(context.Background(), false, &m, false)
}

// Watch is Post, and what becomes of the message is told in an event of the kind [Settled], unless it is given up, which
// is told anyway.
func (s *Sessions) Watch(ctx context.Context, remote message.URL, path Path, m message.Message) error {
	return (&Line{all: s, remote: remote, path: path}).post(ctx, true, &m, true)
}

// TryWatch is Watch without waiting; [message.ErrWouldBlock].
func (s *Sessions) TryWatch(remote message.URL, path Path, m message.Message) error {
	return (&Line{all: s, remote: remote, path: path}).post(context.Background(), false, &m, true)
}

// Line is where messages to one remote runtime are posted, by one path, again and again. Its methods may be called from
// many goroutines.
type Line struct {
	all    *Sessions
	remote message.URL
	path   Path
	one    atomic.Pointer[session] // the session when it was last looked up; nil: it was not
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
	return l.post(ctx, true, m, false)
}

// TryPost is Post without waiting; [message.ErrWouldBlock].
func (l *Line) TryPost(m *message.Message) error {
	return l.post(context.Background(), false, m, false)
}

// post is the one way of a message into a session. A line that has none yet looks it up.
func (l *Line) post(ctx context.Context, waits bool, m *message.Message, watched bool) error {
	size := m.RoutingSize() + m.OwnSize()
	if size > wire.MaxMessage {
		return fmt.Errorf("%w: %d bytes, at most %d fit a frame", message.ErrTooLarge, size, wire.MaxMessage)
	}
	key, p := wire.KeyOf(m), posted{cost: wire.Cost(uint64(size), 1), watched: watched}
	one := l.one.Load()
	for {
		if one != nil {
			if again, err := one.post(ctx, waits, l.path, key, m, p); !again {
				return failed(l.remote, err)
			}
		}
		var err error
		if one, err = l.all.session(l.remote); err != nil {
			return failed(l.remote, err)
		}
		l.one.Store(one)
	}
}

// failed is the error of a post.
func failed(remote message.URL, err error) error {
	if err == nil || err == message.ErrWouldBlock {
		return err
	}
	return fmt.Errorf("post to %s: %w", remote, err)
}
