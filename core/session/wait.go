package session

import (
	"context"
	"time"

	"github.com/protofly/protofly/core/session/internal/sender"
)

// wait queues the message behind those that wait for its destination, until it is taken. again: the session was forgotten
// meanwhile. It gives the lock back.
func (s *session) wait(ctx context.Context, m *machine, d *sender.Destination, w *poster) (again bool, err error) {
	m.send.Wait(d, w)
	if m.ended == nil {
		m.ended = make(chan struct{})
	}
	ended := m.ended
	m.admit(s.all.now()) // tells the total that we wait for it
	s.unlock()
	for err == nil {
		select {
		case <-w.taken:
			return false, nil
		case <-ended:
			select {
			case <-w.taken: // before
				return false, nil
			default:
				return true, nil
			}
		case <-m.space:
			s.with((*machine).admit)
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-s.all.life.Context().Done():
			err = ErrClosed
		}
	}
	s.with(func(m *machine, now time.Duration) { err = m.givesUp(d, w, err, now) })
	return false, err
}
