package session

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// scratch holds buffers in which messages are encoded before they enter a ring.
var scratch = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}

// maxScratch is the largest buffer that is kept.
const maxScratch = 64 << 10

// Post takes m for remote: it gives it the next number, keeps it until it is acknowledged, and has it sent on path. It
// returns when m is taken, which says nothing about its arrival; see [Event] for what is told later. Messages to one
// destination (m.To, responses apart) are delivered in the order in which calls of Post returned, or were made by one
// goroutine.
//
// A path other than the one in use switches to it; the zero Path is the one in use, or Options.Route's. While the ring
// is full, or the destination is behind and has its share of the peer's inbox, Post waits; when ctx ends before, the
// error is [ErrBackpressure] and says which. Others who post to other destinations do not wait for that. With a ctx that
// has ended Post does not wait at all.
func (s *Sessions) Post(ctx context.Context, remote message.URL, path Path, m message.Message) error {
	return s.send(ctx, remote, path, &m, false)
}

// Watch is Post, and what becomes of the message is told in an event of the kind [Settled], unless it is given up, which
// is told anyway.
func (s *Sessions) Watch(ctx context.Context, remote message.URL, path Path, m message.Message) error {
	return s.send(ctx, remote, path, &m, true)
}

func (s *Sessions) send(ctx context.Context, remote message.URL, path Path, m *message.Message, watched bool) error {
	if err := m.Check(); err != nil {
		return err
	}
	buffer := scratch.Get().(*[]byte)
	wire := m.AppendBinary((*buffer)[:0])
	if cap(wire) <= maxScratch {
		*buffer = wire
	}
	defer scratch.Put(buffer)
	if len(wire) > maxMessage {
		return fmt.Errorf("%w: %d bytes, at most %d fit a frame", message.ErrTooLarge, len(wire), maxMessage)
	}
	key := destinationKey{m.To, m.Type == message.Response}
	p := posted{wire: wire, id: m.ID, from: m.From, kind: m.Type, watched: watched}
	for {
		one, err := s.session(remote)
		if err == nil {
			var again bool
			if again, err = one.post(ctx, path, key, &p); again {
				continue
			}
		}
		if err != nil {
			return fmt.Errorf("post to %s: %w", remote, err)
		}
		return nil
	}
}

// post is Post for the session. again: the session was forgotten meanwhile.
func (s *session) post(ctx context.Context, path Path, key destinationKey, p *posted) (again bool, err error) {
	s.mu.Lock()
	if s.gone {
		s.mu.Unlock()
		return true, nil
	}
	if s.closing {
		s.mu.Unlock()
		return false, ErrClosed
	}
	d := s.out.at(key)
	cost := p.cost()
	if !s.out.full && len(d.waiters) == 0 && s.out.credit(d, cost, s.peerInbox()) && s.fits(cost) {
		if now := s.take(d, path, p); s.maySend(now) {
			s.sendNow(now)
			return false, nil
		}
		s.poke()
		s.unlock()
		return false, nil
	}
	if ctx.Err() != nil {
		err = s.behind(d, context.Cause(ctx))
		s.out.leave(d)
		s.mu.Unlock()
		return false, err
	}
	return false, s.wait(ctx, d, &waiter{posted: *p, path: path, taken: make(chan struct{})})
}

// take puts the message into the ring, and says when; the caller has it sent. mu is held.
func (s *session) take(d *destination, path Path, p *posted) (now time.Duration) {
	now = s.all.now()
	cost := p.cost()
	s.all.sending.Add(int64(cost) + recordCost)
	s.out.add(d, record{number: s.ring.next, id: p.id, from: p.from, cost: uint32(cost), kind: p.kind, watched: p.watched})
	s.ring.push(p.wire, s.expiry(now))
	if !path.IsZero() && path != s.path && (path != s.failed || now >= s.failedTo) {
		s.switchTo(path, now)
	}
	return now
}

// expiry is when what enters the ring now is given up, 0: never.
func (s *session) expiry(now time.Duration) time.Duration {
	if s.o.TTL > 0 {
		return now + s.o.TTL
	}
	return 0
}
