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
// returns when m is taken, which says nothing about its arrival; see [Event] for what is told later. Messages are
// delivered in the order in which calls of Post returned, or were made by one goroutine.
//
// A path other than the one in use switches to it; the zero Path is the one in use, or Options.Route's. While the ring
// is full Post waits; when ctx ends before there is room the error is [ErrBackpressure].
func (s *Sessions) Post(ctx context.Context, remote message.URL, path Path, m message.Message) error {
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
	for {
		one, err := s.session(remote)
		if err == nil {
			var again bool
			if again, err = one.post(ctx, path, wire, m.ID); again {
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
func (s *session) post(ctx context.Context, path Path, wire []byte, id message.ID) (again bool, err error) {
	s.mu.Lock()
	if s.gone {
		s.mu.Unlock()
		return true, nil
	}
	if s.closing {
		s.mu.Unlock()
		return false, ErrClosed
	}
	if s.waiters == 0 && s.fits(len(wire)) {
		s.take(path, wire, id)
		s.unlock()
		return false, nil
	}
	s.waiters++
	s.mu.Unlock()
	err = s.wait(ctx, path, wire, id)
	return false, err
}

// wait queues for room and takes the message then.
func (s *session) wait(ctx context.Context, path Path, wire []byte, id message.ID) error {
	give := func(err error) error {
		s.mu.Lock()
		s.waiters--
		s.unlock()
		return err
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return give(fmt.Errorf("%w: %w", ErrBackpressure, context.Cause(ctx)))
	case <-s.all.life.Done():
		return give(ErrClosed)
	}
	s.all.starve(s, true)
	defer func() {
		s.all.starve(s, false)
		<-s.turn
	}()
	for {
		s.mu.Lock()
		if s.fits(len(wire)) && !s.closed {
			s.waiters--
			s.take(path, wire, id)
			s.unlock()
			return nil
		}
		s.mu.Unlock()
		select {
		case <-s.space:
		case <-ctx.Done():
			return give(fmt.Errorf("%w: %w", ErrBackpressure, context.Cause(ctx)))
		case <-s.all.life.Done():
			return give(ErrClosed)
		}
	}
}

// fits tells whether a message of size bytes may enter the ring; mu is held. A single message always may.
func (s *session) fits(size int) bool {
	cost := costOf(uint64(wireSize(size)), 1)
	if used := s.ring.cost(); used > 0 && used+cost > s.o.RingBytes {
		return false
	}
	used := s.all.sending.Load()
	return used == 0 || used+int64(cost) <= int64(s.o.TotalBytes)
}

// take puts the message into the ring; mu is held.
func (s *session) take(path Path, wire []byte, id message.ID) {
	now := s.all.now()
	var due time.Duration
	if s.o.TTL > 0 {
		due = now + s.o.TTL
	}
	s.all.sending.Add(int64(costOf(uint64(wireSize(len(wire))), 1)))
	s.ring.push(wire, id, due)
	if !path.IsZero() && path != s.path && (path != s.failed || now >= s.failedTo) {
		s.switchTo(path, now)
	}
	s.poke()
}
