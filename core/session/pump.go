package session

import (
	"crypto/cipher"
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// maxBatch is how many frames are handed to a path at once: a switch of path waits for no more than these.
const maxBatch = 4

// pump is the goroutine that sends, one batch after the other, what posters do not send themselves, and keeps the
// session's times. It ends when there has been nothing to do for a while.
func (s *session) pump() {
	defer s.all.wg.Done()
	timer := time.NewTimer(s.o.Linger)
	defer timer.Stop()
	var watch *time.Timer
	watch = time.AfterFunc(s.o.Stall, func() {
		if again := s.stuck(); again > 0 {
			watch.Reset(again)
		}
	})
	defer watch.Stop()
	watch.Stop()
	var idle time.Duration // since when
	for s.all.life.Err() == nil {
		s.mu.Lock()
		s.sleepsTo = 0
		now := s.all.now()
		s.tick(now)
		if s.paths.WantsRoute(s.hasWork(), now) {
			s.unlock()
			path, ok := s.o.Route(s.remote)
			s.mu.Lock()
			now = s.all.now()
			if use := s.paths.Routed(path, ok, now); !use.IsZero() {
				s.switchTo(use, now)
			}
		}
		n := 0
		if s.inline {
			s.poked = true
		} else {
			n = s.pack(now)
		}
		path, life := s.paths.Used(), s.pathLife
		if n > 0 {
			idle = 0
			s.sendingOn, s.sendingAt = life, now
			patience := s.stuckDue() - now
			s.unlock()
			for i, aead := range s.seals[:n] {
				if aead != nil {
					s.batch[i] = handshake.Seal(aead, s.batch[i])
				}
			}
			s.traceFrames(path, n, s.o.Trace.Now())
			watch.Reset(patience)
			err := s.o.Send(life, path, s.remote, s.batch[:n]...)
			watch.Stop()
			s.handed(path, err)
			continue
		}
		s.send.Date(now) // what was put in while the Route was asked for
		due := s.due()
		if due == 0 {
			if idle == 0 {
				idle = now
			}
			idle = max(idle, s.sendingAt)
			if due = idle + s.o.Linger; s.inline {
				due = now + s.o.Linger
			} else if now >= due {
				s.rest()
				s.unlock()
				return
			}
		} else {
			idle = 0
		}
		s.sleepsTo = due
		s.unlock()
		timer.Reset(max(1, due-now))
		select {
		case <-s.wake:
		case <-timer.C:
		case <-s.all.life.Done():
		}
	}
}

// handed ends a Send. mu is not held.
func (s *session) handed(path Path, err error) {
	s.shrink()
	s.mu.Lock()
	defer s.unlock()
	life := s.sendingOn
	s.sendingOn = nil
	s.sendingAt = s.all.now()
	if err != nil && s.pathLife == life { // else path was left, and what was not acknowledged goes elsewhere
		s.lose(path, err.Error(), s.all.now())
	}
}

// shrink gives back the memory of messages that were larger than a frame. It is called by who sends.
func (s *session) shrink() {
	for i, b := range s.batch {
		if cap(b) > 2*(s.o.FrameBytes+wire.FrameOverhead) {
			s.all.large.put(b)
			s.batch[i] = nil
		}
	}
}

// stuck leaves a path that does not take a batch, as if it had failed. It says when to look again, 0: never.
func (s *session) stuck() time.Duration {
	s.mu.Lock()
	defer s.unlock()
	now := s.all.now()
	if s.sendingOn == nil || s.sendingOn != s.pathLife {
		return 0
	}
	if due := s.stuckDue(); now < due {
		return due - now
	}
	path := s.paths.Used()
	s.event(Event{Kind: Stalled, Path: path, Why: "takes no frames"})
	s.lose(path, "takes no frames", now)
	return 0
}

// stuckDue is when the batch that is being sent has taken too long: Options.Stall after it began, or, since the pump
// cannot look while it sends, when the path counts as stalled. mu is held.
func (s *session) stuckDue() time.Duration {
	due := s.sendingAt + s.o.Stall
	if stalled := s.paths.StallDue(); stalled != 0 {
		due = min(due, stalled)
	}
	return due
}

// rest ends the pump's part: the memory of an idle session goes. mu is held.
func (s *session) rest() {
	s.pumping = false
	s.batch = [maxBatch][]byte{}
	if !s.recv.Busy() {
		s.out.Rest()
	}
	s.send.Rest()
	s.pair.Rest()
	if s.pair.Peer() == 0 && s.send.Empty() && s.send.Waiting() == 0 && s.recv.Cost() == 0 && s.send.Outstanding() == 0 {
		s.leavePath()
		s.all.forget(s)
	}
}

// tick does what is due by time. mu is held.
func (s *session) tick(now time.Duration) {
	s.send.Date(now)
	if d, any := s.send.DropExpired(now); any {
		s.tellAgain(d.Records)
		s.given(d, Expired, "not acknowledged in time")
	}
	if s.tellNow || s.tellDue != 0 && now >= s.tellDue {
		s.collect(now)
	}
	s.changed(s.pair.Tick(!s.send.Empty(), now), now)
	s.recv.Tick(now)
	s.ask(now)
	if s.paths.Tick(s.waits(), now) {
		s.event(Event{Kind: Stalled, Path: s.paths.Used(), Why: "nothing is acknowledged"})
	}
}

// waits tells whether the peer has to acknowledge something. mu is held.
func (s *session) waits() bool { return s.pair.Peer() != 0 && !s.send.Empty() }

// restartProbe begins to wait for an acknowledgement anew. mu is held.
func (s *session) restartProbe(now time.Duration) { s.paths.Restart(s.waits(), now) }

// hasWork tells whether there is something to send. mu is held.
func (s *session) hasWork() bool {
	return s.pair.WantsHello() || s.recv.WantsAck() || s.recv.WantsResume() || s.paths.WantsProbe() || !s.send.Empty()
}

// due is when something has to be done by time, 0: never. mu is held.
func (s *session) due() time.Duration {
	var first time.Duration
	at := func(t time.Duration) {
		if t != 0 && (first == 0 || t < first) {
			first = t
		}
	}
	s.pair.Due(at)
	at(s.recv.AckDue())
	at(s.tellDue)
	at(s.askDue)
	at(s.paths.ProbeDue())
	at(s.paths.StallDue())
	if s.hasWork() {
		at(s.paths.RouteDue())
	}
	at(s.send.Due())
	return first
}

// pack fills frames with what there is to send, as many as a batch takes, and says how many. mu is held.
func (s *session) pack(now time.Duration) int {
	if s.paths.None() {
		return 0
	}
	n := 0
	for n < maxBatch {
		b, ok := s.pair.AppendHello(s.batch[n][:0])
		if !ok {
			break
		}
		s.batch[n], s.packed[n], s.seals[n] = b, nil, nil
		n++
	}
	if s.pair.Peer() == 0 {
		s.recv.Told()
		s.paths.Probed()
		return n
	}
	for n < maxBatch {
		more := s.mayMore()
		if !more && !s.recv.WantsResume() && !s.paths.WantsProbe() && !s.recv.WantsAck() {
			break
		}
		s.batch[n], s.packed[n], s.seals[n] = s.frame(s.batch[n][:0], more, now)
		n++
	}
	return n
}

// mayMore tells whether a message may be sent now: there is one, the peer takes it, and nothing makes us think that the
// peer has a new life: what is sent to the old one would be in doubt. mu is held.
func (s *session) mayMore() bool {
	return !s.pair.Holding() && s.send.MaySend()
}

// frame makes the next frame, with messages where more says that there are some to send, and says what closes it: that is
// done without mu. packed lists the messages while somebody watches. mu is held.
func (s *session) frame(b []byte, more bool, now time.Duration) (frame []byte, packed []message.Message, aead cipher.AEAD) {
	k := wire.Ack
	switch {
	case s.recv.WantsResume():
		k = wire.Resume
	case s.paths.WantsProbe():
		k = wire.Probe
	case more:
		k = wire.Data
	}
	size := wire.FrameOverhead
	if more {
		size += s.send.PackSize()
		if cap(b) < size && size > s.o.FrameBytes+wire.FrameOverhead {
			b = s.all.large.get(size)
		}
	}
	h, aead := s.pair.Stamp(k, size)
	b = wire.AppendHead(b, h)
	var f wire.Fields
	s.pair.Fields(&f)
	s.send.Fields(&f)
	s.recv.Fields(&f, s.all.full())
	b = f.Append(b)
	if more {
		start := len(b)
		b = s.send.Pack(b)
		if s.o.Trace.Watched() {
			packed = wire.Messages(b[start:])
		}
		s.paths.Sent(now)
	}
	s.paths.Probed()
	return b, packed, aead
}
