package session

import (
	"time"

	"github.com/protofly/protofly/core/session/internal/wire"
)

// pump is the goroutine that sends, one batch after the other, what posters do not send themselves, and keeps the
// session's times. It ends when there has been nothing to do for a while.
func (s *session) pump() {
	defer s.all.wg.Done()
	timer := time.NewTimer(s.o.Linger)
	defer timer.Stop()
	watch := s.watchdog()
	defer watch.Stop()
	for s.all.life.Err() == nil {
		l := s.lock()
		s.turn.Look()
		now := l.look()
		if s.turn.Look() { // nobody else sends
			if n := l.pack(now); n > 0 {
				l.sendBatch(n, watch, now)
				continue
			}
		}
		s.send.Date(now) // what was put in while the Route was asked for
		until, end := s.turn.Sleep(l.due(), s.o.Linger, now)
		if end {
			l.rest()
			l.unlock()
			return
		}
		l.unlock()
		timer.Reset(max(1, until-now))
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
	for s.paths.WantsRoute(s.hasWork(), now) {
		number := s.way.number
		s.unlock()
		path, ok := s.o.Route(s.remote)
		s.mu.Lock()
		now = s.all.now()
		if s.way.number != number { // somebody may have taken a path that is better than the one that was the best when we asked
			s.paths.AskAgain()
			continue
		}
		if use := s.paths.Routed(path, ok, now); !use.IsZero() {
			s.switchTo(use, now)
		}
		break
	}
	return now
}

// sendBatch sends the n frames of the batch. It gives the lock back.
func (s locked) sendBatch(n int, watch *time.Timer, now time.Duration) {
	path, life, number := s.paths.Used(), s.way.life, s.way.number
	s.turn.Begin(number, now)
	patience := s.turn.StuckDue(s.o.Paths.Stall, s.paths.StallDue()) - now
	out := s.batch
	s.unlock()
	out.seal(n)
	out.trace(s.o.Trace, path, s.remote, n, s.o.Trace.Now())
	watch.Reset(patience)
	err := s.o.Send(life, path, s.remote, out.frames[:n]...)
	watch.Stop()
	out.shrink(2 * (s.o.FrameBytes + wire.FrameOverhead))
	s.mu.Lock()
	defer s.unlock()
	now = s.all.now()
	s.turn.End(now)
	if err != nil && s.way.number == number { // else path was left, and what was not acknowledged goes elsewhere
		s.lose(path, err.Error(), now)
	}
}

// stuck leaves a path that does not take a batch, as if it had failed. It says when to look again, 0: never.
func (s *session) stuck() time.Duration {
	l := s.lock()
	defer l.unlock()
	now := s.all.now()
	if !s.turn.On(s.way.number) {
		return 0
	}
	if due := s.turn.StuckDue(s.o.Paths.Stall, s.paths.StallDue()); now < due {
		return due - now
	}
	path := s.paths.Used()
	l.event(Event{Kind: Stalled, Path: path, Why: "takes no frames"})
	l.lose(path, "takes no frames", now)
	return 0
}

// sendNow sends the last message, where the path takes it at once; else the pump does that. It gives the lock back.
func (s locked) sendNow() {
	now := s.all.now()
	path, position := s.paths.Used(), s.send.Position()
	owed := s.recv.Owes()
	out := s.outgoing()
	s.turn.BeginPoster(s.way.number, now)
	s.all.wg.Add(1)
	defer s.all.wg.Done()
	s.frame(0, true, now)
	s.unlock()
	out.seal(1)
	at := s.o.Trace.Now()
	sent := s.o.TrySend(path, s.remote, out.frames[0])
	if sent {
		out.trace(s.o.Trace, path, s.remote, 1, at)
	}
	out.carried[0] = nil
	out.shrink(2 * (s.o.FrameBytes + wire.FrameOverhead))
	s.mu.Lock()
	defer s.unlock()
	look := s.turn.EndPoster()
	if !sent {
		if owed {
			s.recv.Acknowledge()
		}
		s.send.GoBack(position)
	}
	if !sent || look {
		s.poke()
	} else if due := s.due(); due != 0 {
		s.pokeAt(due)
	}
}
