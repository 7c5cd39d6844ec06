package session

import (
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/wire"
)

// inlinePause is how long nothing was handed to a path before a poster sends its message itself although others are not
// acknowledged. Where messages come more quickly the pump sends, and packs what has come meanwhile into one frame.
const inlinePause = 50 * time.Microsecond

// maySend tells whether the poster of the last message is to send it, instead of the pump, which would have to be woken:
// there is nothing else to send, nobody sends, and messages do not come in a row.
func (s locked) maySend() bool {
	if s.o.TrySend == nil || s.turn.on != nil || s.closed || s.pair.Peer() == 0 || s.paths.None() {
		return false
	}
	last, only := s.send.Single()
	return last && s.mayMore() && !s.pair.WantsHello() && !s.recv.WantsResume() && !s.paths.WantsProbe() && !s.paths.Asking() &&
		(only || s.all.now()-s.turn.at >= inlinePause)
}

// sendNow sends the last message, where the path takes it at once; else the pump does that. It gives the lock back.
func (s locked) sendNow() {
	now := s.all.now()
	path, position := s.paths.Used(), s.send.Position()
	owed := s.recv.Owes()
	s.turn.inline, s.turn.poked = true, false
	s.turn.on, s.turn.at = s.way.life, now
	s.all.wg.Add(1)
	defer s.all.wg.Done()
	frame, packed, aead := s.frame(s.batch.frames[0][:0], true, now)
	s.unlock()
	frame = handshake.Seal(aead, frame)
	s.batch.frames[0], s.batch.carried[0] = frame, packed
	at := s.o.Trace.Now()
	sent := s.o.TrySend(path, s.remote, frame)
	if sent {
		s.batch.trace(s.o.Trace, path, s.remote, 1, at)
	}
	s.batch.carried[0] = nil
	s.batch.shrink(2*(s.o.FrameBytes+wire.FrameOverhead), &s.all.large)
	s.mu.Lock()
	s.turn.inline, s.turn.on = false, nil
	if !sent {
		if owed {
			s.recv.Acknowledge()
		}
		s.send.GoBack(position)
	}
	if !sent || s.turn.poked || !s.turn.pumping {
		s.poke()
	} else if due := s.due(); due != 0 {
		s.pokeAt(due)
	}
	s.unlock()
}
