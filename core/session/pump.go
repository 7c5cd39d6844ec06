package session

import (
	"crypto/cipher"
	"time"

	"github.com/protofly/protofly/core/session/internal/outcomes"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// pump is the goroutine that sends, one batch after the other, what posters do not send themselves, and keeps the
// session's times. It ends when there has been nothing to do for a while.
func (s *session) pump() {
	defer s.all.wg.Done()
	timer := time.NewTimer(s.o.Linger)
	defer timer.Stop()
	watch := s.watchdog()
	defer watch.Stop()
	var idle time.Duration // since when
	for s.all.life.Err() == nil {
		l := s.lock()
		s.turn.sleepsTo = 0
		now := l.look()
		n := 0
		if s.turn.inline {
			s.turn.poked = true
		} else {
			n = l.pack(now)
		}
		if n > 0 {
			idle = 0
			l.sendBatch(n, watch, now)
			continue
		}
		s.send.Date(now) // what was put in while the Route was asked for
		due := l.due()
		if due != 0 {
			idle = 0
		} else if due = l.restDue(&idle, now); now >= due {
			l.rest()
			l.unlock()
			return
		}
		s.turn.sleepsTo = due
		l.unlock()
		timer.Reset(max(1, due-now))
		select {
		case <-s.signals.wake:
		case <-timer.C:
		case <-s.all.life.Done():
		}
	}
}

// watchdog is a timer that is to be set while a batch is being sent: it leaves a path that does not take it.
func (s *session) watchdog() (watch *time.Timer) {
	watch = time.AfterFunc(s.o.Paths.Stall, func() {
		if again := s.stuck(); again > 0 {
			watch.Reset(again)
		}
	})
	watch.Stop()
	return watch
}

// look does what is due by time, and asks for a path where one is wanted. It says what time it is then. It gives the lock
// back meanwhile.
func (s locked) look() (now time.Duration) {
	now = s.all.now()
	s.tick(now)
	if !s.paths.WantsRoute(s.hasWork(), now) {
		return now
	}
	s.unlock()
	path, ok := s.o.Route(s.remote)
	s.mu.Lock()
	now = s.all.now()
	if use := s.paths.Routed(path, ok, now); !use.IsZero() {
		s.switchTo(use, now)
	}
	return now
}

// sendBatch sends the n frames of the batch. It gives the lock back.
func (s locked) sendBatch(n int, watch *time.Timer, now time.Duration) {
	path, life := s.paths.Used(), s.way.life
	s.turn.on, s.turn.at = life, now
	patience := s.stuckDue() - now
	s.unlock()
	s.batch.seal(n)
	s.batch.trace(s.o.Trace, path, s.remote, n, s.o.Trace.Now())
	watch.Reset(patience)
	err := s.o.Send(life, path, s.remote, s.batch.frames[:n]...)
	watch.Stop()
	s.handed(path, err)
}

// restDue is when the pump ends unless there is something to do before. idle is since when there is nothing; 0: since now.
func (s locked) restDue(idle *time.Duration, now time.Duration) time.Duration {
	if *idle == 0 {
		*idle = now
	}
	*idle = max(*idle, s.turn.at)
	if s.turn.inline {
		return now + s.o.Linger
	}
	return *idle + s.o.Linger
}

// handed ends a Send.
func (s *session) handed(path Path, err error) {
	s.batch.shrink(2*(s.o.FrameBytes+wire.FrameOverhead), &s.all.large)
	l := s.lock()
	defer l.unlock()
	life := s.turn.on
	s.turn.on = nil
	s.turn.at = s.all.now()
	if err != nil && s.way.life == life { // else path was left, and what was not acknowledged goes elsewhere
		l.lose(path, err.Error(), s.all.now())
	}
}

// stuck leaves a path that does not take a batch, as if it had failed. It says when to look again, 0: never.
func (s *session) stuck() time.Duration {
	l := s.lock()
	defer l.unlock()
	now := s.all.now()
	if s.turn.on == nil || s.turn.on != s.way.life {
		return 0
	}
	if due := l.stuckDue(); now < due {
		return due - now
	}
	path := s.paths.Used()
	l.event(Event{Kind: Stalled, Path: path, Why: "takes no frames"})
	l.lose(path, "takes no frames", now)
	return 0
}

// stuckDue is when the batch that is being sent has taken too long: Options.Paths.Stall after it began, or, since the pump cannot
// look while it sends, when the path counts as stalled.
func (s locked) stuckDue() time.Duration {
	due := s.turn.at + s.o.Paths.Stall
	if stalled := s.paths.StallDue(); stalled != 0 {
		due = min(due, stalled)
	}
	return due
}

// rest ends the pump's part: the memory of an idle session goes.
func (s locked) rest() {
	s.turn.pumping = false
	s.batch = outgoing{}
	if !s.recv.Busy() {
		s.out.Rest()
	}
	s.send.Rest()
	s.pair.Rest()
	if s.pair.Peer() == 0 && s.send.Empty() && s.send.Waiting() == 0 && s.recv.Cost() == 0 && s.send.Outstanding() == 0 {
		s.leavePath()
		s.table.forget(s.session)
	}
}

// tick does what is due by time.
func (s locked) tick(now time.Duration) {
	s.send.Date(now)
	if d, any := s.send.DropExpired(now); any {
		s.tellAgain(d.Records)
		s.given(d, Expired, "not acknowledged in time")
	}
	if s.tell.Tells(now) {
		s.collect(now)
	}
	s.changed(s.pair.Tick(!s.send.Empty(), now), now)
	s.recv.Tick(now)
	switch s.tell.Tick(s.pair.Peer() != 0 && s.send.Untaken(), now) {
	case outcomes.Ask:
		s.paths.Probe()
	case outcomes.GiveUp:
		s.given(s.send.DropAcknowledged(), Expired, "the remote runtime had it, and does not answer any more")
	}
	if s.paths.Tick(s.waits(), now) {
		s.event(Event{Kind: Stalled, Path: s.paths.Used(), Why: "nothing is acknowledged"})
	}
}

// hasWork tells whether there is something to send.
func (s locked) hasWork() bool {
	return s.pair.WantsHello() || s.recv.WantsAck() || s.recv.WantsResume() || s.paths.WantsProbe() || !s.send.Empty()
}

// due is when something has to be done by time, 0: never.
func (s locked) due() time.Duration {
	var first time.Duration
	at := func(t time.Duration) {
		if t != 0 && (first == 0 || t < first) {
			first = t
		}
	}
	s.pair.Due(at)
	at(s.recv.AckDue())
	s.tell.Due(at)
	at(s.paths.ProbeDue())
	at(s.paths.StallDue())
	if s.hasWork() {
		at(s.paths.RouteDue())
	}
	at(s.send.Due())
	return first
}

// pack fills frames with what there is to send, as many as a batch takes, and says how many.
func (s locked) pack(now time.Duration) int {
	if s.paths.None() {
		return 0
	}
	n := 0
	for n < maxBatch {
		b, ok := s.pair.AppendHello(s.batch.frames[n][:0])
		if !ok {
			break
		}
		s.batch.frames[n], s.batch.carried[n], s.batch.seals[n] = b, nil, nil
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
		s.batch.frames[n], s.batch.carried[n], s.batch.seals[n] = s.frame(s.batch.frames[n][:0], more, now)
		n++
	}
	return n
}

// mayMore tells whether a message may be sent now: there is one, the peer takes it, and nothing makes us think that the
// peer has a new life: what is sent to the old one would be in doubt.
func (s locked) mayMore() bool {
	return !s.pair.Holding() && s.send.MaySend()
}

// frame makes the next frame, with messages where more says that there are some to send, and says what closes it: that is
// done without mu. packed lists the messages while somebody watches.
func (s locked) frame(b []byte, more bool, now time.Duration) (frame []byte, packed []message.Message, aead cipher.AEAD) {
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
	s.recv.Fields(&f, s.all.memory.Full())
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
