package session

import (
	"context"
	"time"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

const (
	maxDesks   = 256
	maxReplies = 64
	replyTime  = 2 * time.Second  // that a path may take for one
	spell      = time.Millisecond // that is computed in one go; then others have the processor for as long
	maxRest    = 10 * spell       // that is, where the processor was others' meanwhile
)

// reply sends a hello to a stranger. It does not wait.
func (s *shared) reply(remote message.URL, path Path, h wire.Head, body []byte) {
	s.hand(remote, path, append(wire.AppendHead(make([]byte, 0, wire.HeadSize+len(body)), h), body...))
}

// hand sends one frame by a path that is not a session's. It does not wait; where too much waits for the path the frame is
// dropped.
func (s *shared) hand(remote message.URL, path Path, frame []byte) {
	s.queue(path, reply{remote: remote, frame: frame})
}

// queue has a desk do something. It does not wait; where much waits already, nothing is done.
func (s *shared) queue(path Path, one reply) {
	all := &s.desks
	all.mu.Lock()
	defer all.mu.Unlock()
	d := all.by[path]
	switch {
	case d != nil && len(d.queue) < maxReplies:
		d.queue = append(d.queue, one)
	case d != nil || len(all.by) >= maxDesks || path.Direct && all.direct >= maxDesks/2 || !s.begin():
	default:
		if path.Direct {
			all.direct++
		}
		if all.by == nil {
			all.by = make(map[Path]*desk)
		}
		d = &desk{queue: []reply{one}}
		all.by[path] = d
		go s.attend(path, d)
	}
}

// attend sends what waits at a desk.
func (s *shared) attend(path Path, d *desk) {
	defer s.wg.Done()
	var batch []reply
	var spent time.Duration
	for {
		s.desks.mu.Lock()
		batch, d.queue = d.queue, batch[:0]
		if len(batch) == 0 || s.life.Err() != nil { // else strangers could keep Close waiting
			delete(s.desks.by, path)
			if path.Direct {
				s.desks.direct--
			}
			s.desks.mu.Unlock()
			return
		}
		s.desks.mu.Unlock()
		ctx, cancel := context.WithTimeout(s.life, replyTime)
		for _, one := range batch {
			if s.life.Err() != nil {
				break
			}
			if one.make != nil {
				if spent >= spell {
					s.rest(min(spent, maxRest))
					spent = 0
				}
				began := time.Now()
				one.make()
				spent += time.Since(began)
				continue
			}
			if s.o.Send(ctx, path, one.remote, one.frame) != nil {
				break // the path is full or gone: so are these
			}
		}
		cancel()
		clear(batch)
	}
}

// rest waits, unless the runtime ends.
func (s *shared) rest(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.life.Done():
	}
}
