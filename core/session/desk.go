package session

import (
	"context"
	"time"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// desk computes and sends what strangers, and peers that came by another path than the session's, are answered by one path,
// in a goroutine that ends when there is nothing more: who brings their frames waits for nobody, and others' frames behind
// them neither.
type desk struct {
	queue []reply // at most maxReplies; what is more is dropped: a stranger asks again
}

type reply struct {
	remote message.URL
	frame  []byte
	make   func() // computes what may be answered, instead of frame
}

const (
	maxDesks   = 256
	maxReplies = 64
	replyTime  = 2 * time.Second  // that a path may take for one
	spell      = time.Millisecond // that is computed in one go; then others have the processor for as long
	maxRest    = 10 * spell       // that is, where the processor was others' meanwhile
)

// reply sends a hello to a stranger. It does not wait.
func (s *Sessions) reply(remote message.URL, path Path, h wire.Head, body []byte) {
	s.hand(remote, path, append(wire.AppendHead(make([]byte, 0, wire.HeadSize+len(body)), h), body...))
}

// hand sends one frame by a path that is not a session's. It does not wait; where too much waits for the path the frame is
// dropped.
func (s *Sessions) hand(remote message.URL, path Path, frame []byte) {
	s.queue(path, reply{remote: remote, frame: frame})
}

// queue has a desk do something. It does not wait; where much waits already, nothing is done.
func (s *Sessions) queue(path Path, one reply) {
	s.strangersMu.Lock()
	defer s.strangersMu.Unlock()
	st := &s.strangers
	d := st.desks[path]
	switch {
	case d != nil && len(d.queue) < maxReplies:
		d.queue = append(d.queue, one)
	case d != nil || len(st.desks) >= maxDesks || path.Direct && st.direct >= maxDesks/2 || !s.begin():
	default:
		if path.Direct {
			st.direct++
		}
		if st.desks == nil {
			st.desks = make(map[Path]*desk)
		}
		d = &desk{queue: []reply{one}}
		st.desks[path] = d
		go s.attend(path, d)
	}
}

// begin counts a goroutine that Close has to wait for. It is false where the runtime ends.
func (s *Sessions) begin() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closing {
		return false
	}
	s.wg.Add(1)
	return true
}

// attend sends what waits at a desk.
func (s *Sessions) attend(path Path, d *desk) {
	defer s.wg.Done()
	var batch []reply
	var spent time.Duration
	for {
		s.strangersMu.Lock()
		batch, d.queue = d.queue, batch[:0]
		if len(batch) == 0 || s.life.Err() != nil { // else strangers could keep Close waiting
			delete(s.strangers.desks, path)
			if path.Direct {
				s.strangers.direct--
			}
			s.strangersMu.Unlock()
			return
		}
		s.strangersMu.Unlock()
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
func (s *Sessions) rest(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.life.Done():
	}
}
