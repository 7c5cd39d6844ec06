package session

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"github.com/protofly/protofly/core/session/internal/deliver"
	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/receiver"
	"github.com/protofly/protofly/core/session/internal/sender"
	"github.com/protofly/protofly/core/session/internal/turn"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// session is the session with one remote runtime: its lock, its goroutines, and what they do of what the machine wants.
type session struct {
	all    *shared
	o      *Options
	remote message.URL
	out    *deliver.Deliverer
	run    func()        // the pump
	wake   chan struct{} // the pump
	came   chan struct{} // wakes the goroutine that delivers: there is something to deliver
	batch  *outgoing     // of whoever has the turn to send; nil while nothing is sent

	mu      sync.Mutex
	m       machine // lock gives it out
	path    inUse
	settled chan struct{} // Close waits here
}

// leftPause is how long a peer may be away from our direct path. Its registry and its session change their minds one
// after the other, so it may come back at once.
const leftPause = 50 * time.Millisecond

// newSession makes the session with remote. It starts nothing.
func newSession(all *shared, remote message.URL, l *handshake.Local) *session {
	s := &session{all: all, o: &all.o, remote: remote, wake: make(chan struct{}, 1), came: make(chan struct{}, 1)}
	s.m = newMachine(&all.o, &all.memory, all.self, remote, l, host{s})
	s.run = s.pump
	s.out = deliver.New(all.life.Context(), deliver.Options{Acceptor: all.o.Acceptor, Trace: all.o.Trace}, host{s}, remote, uint32(maphash.String(all.seed, string(remote))))
	return s
}

// lock takes the lock, for the use of the machine until unlock.
func (s *session) lock() *machine {
	s.mu.Lock()
	return &s.m
}

// unlock does what the machine wants, and gives the lock back.
func (s *session) unlock() {
	m := &s.m
	if m.todo.some() || m.paths.Number() != s.path.number || m.paths.Away() != (s.path.left != nil) {
		s.do()
	}
	if s.settled != nil && m.quiet() {
		close(s.settled)
		s.settled = nil
	}
	events, asides := m.todo.events, m.todo.aside
	if events != nil || asides != nil {
		m.todo.events, m.todo.aside = nil, nil
	}
	s.mu.Unlock()
	if asides != nil {
		s.sendAside(asides)
	}
	for _, e := range events {
		s.o.tell(e)
	}
}

// sendAside sends frames that go by a path whether or not it is the one in use.
func (s *session) sendAside(list []aside) {
	for _, one := range list {
		for _, frame := range one.frames {
			s.all.answers.Send(one.path, s.remote, frame)
		}
	}
}

// do does what the machine wants, but for events.
func (s *session) do() {
	m := &s.m
	if now := m.paths.Number(); now != s.path.number {
		s.path.change(now, s.all.life.Context())
	}
	if away := m.paths.Away(); away && s.path.left == nil {
		follow := func() { s.with((*machine).follow) }
		s.path.left = time.AfterFunc(leftPause, follow) // the pump may hang in that path
	} else if !away && s.path.left != nil {
		s.path.left.Stop()
		s.path.left = nil
	}
	if s.starts(&m.todo.pump, s.wake) {
		go s.run()
	}
	if s.starts(&m.todo.deliver, s.came) {
		go s.out.Run(s.all.life.Done, s.o.Linger, s.came, host{s})
	}
	if m.todo.forget {
		m.todo.forget = false
		s.all.forget(s)
	}
}

// starts tells whether a goroutine is to be started, which is counted then. Where it is to be woken it does that.
func (s *session) starts(want *turn.Want, wake chan struct{}) bool {
	what := *want
	if *want = turn.Nothing; what == turn.Wake {
		notify(wake)
	} else if what == turn.Start {
		s.all.life.Join()
	}
	return what == turn.Start
}

// notify wakes whoever waits on c, or will next.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// with has f look at the machine, or tell it something.
func (s *session) with(f func(m *machine, now time.Duration)) {
	m := s.lock()
	defer s.unlock()
	f(m, s.all.now())
}

// post takes a message to send: it is Post for the session, or TryPost where it may not wait. again: the session was forgotten
// meanwhile.
func (s *session) post(ctx context.Context, waits bool, path *Path, key wire.Key, msg *message.Message, p posted) (again bool, err error) {
	m := s.lock()
	if m.gone || m.closing {
		if again = m.gone; !again {
			err = ErrClosed
		}
		s.unlock()
		return again, err
	}
	d := m.send.To(key)
	if m.mayEnter(d, p.cost) {
		s.enter(m, d, path, msg, p)
		return false, nil
	}
	if waits && ctx.Err() == nil {
		return s.wait(ctx, m, d, &poster{posted: p, message: *msg, path: *path, taken: make(chan struct{})})
	}
	err = message.ErrWouldBlock
	if waits {
		err = m.behind(d, context.Cause(ctx))
	}
	m.send.Forget(d)
	m.unused()
	s.unlock()
	return false, err
}

// enter takes a message that there is room for, and sends it or has the pump do so. It gives the lock back.
func (s *session) enter(m *machine, d *sender.Destination, path *Path, msg *message.Message, p posted) {
	var now time.Duration
	switches := m.switches(path)
	if m.needsTime(switches) {
		now = s.all.now()
	}
	m.count.posted[m.byDirect(path)]++
	m.take(d, path, switches, msg, p, now)
	if may, only := m.maySend(); may {
		if now == 0 {
			now = s.all.now()
		}
		if only || !m.turn.Row(now) {
			s.sendNow(m, now)
			return
		}
	}
	m.wants(m.turn.Posted(!m.closed))
	s.unlock()
}

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

// receive takes a frame that came. It opens the frame without the lock. It is false where the session was forgotten meanwhile.
func (s *session) receive(path Path, h wire.Head, frame []byte) bool {
	m := s.lock()
	if m.gone {
		s.unlock()
		return false
	}
	keys, aead := m.head(path, h, frame[wire.HeadSize:], &s.all.strangers, s.all.now())
	s.unlock()
	if aead == nil {
		return true
	}
	a, err := open(aead, h, frame)
	var here receiver.Batch // what the caller is to deliver
	var acknowledgement []byte
	m = s.lock()
	proven, aside := m.opened(path, keys, &a, err, &here, s.all.now())
	if proven {
		s.out.CameBy(path.Door)
	}
	if aside {
		acknowledgement = m.sealAside()
	}
	if here.Items != nil {
		s.all.life.Join()
	}
	s.unlock()
	if aside {
		s.all.answers.Send(path, s.remote, acknowledgement)
	}
	if here.Items != nil {
		s.deliverHere(&here)
	}
	return true
}

// deliverHere delivers b for the caller of Receive. What somebody would have to wait for goes to the goroutine.
func (s *session) deliverHere(b *receiver.Batch) {
	defer s.all.life.Done()
	left, ended := s.out.Deliver(b)
	if ended {
		left = receiver.Batch{}
	}
	m := s.lock()
	m.recv.Finished(left)
	m.handOver()
	s.unlock()
}

// pump is the goroutine that sends, one batch after the other, what posters do not send themselves, and has done what is due by
// time. It ends when there has been nothing to do for a while.
func (s *session) pump() {
	defer s.all.life.Done()
	timer := time.NewTimer(s.o.Linger)
	defer timer.Stop()
	watch := s.watchdog()
	defer watch.Stop()
	for s.all.life.Context().Err() == nil {
		m, now := s.lock(), s.all.now()
		m.turn.Look()
		m.tick(now)
		for m.paths.WantsRoute(m.hasWork(), now) {
			number := m.paths.Number()
			s.unlock()
			path, ok := s.o.Route(s.remote)
			m, now = s.lock(), s.all.now()
			m.routed(path, ok, number, now)
		}
		if m.turn.Look() && !m.paths.None() { // nobody else sends
			if n := m.pack(s.outgoing(), now); n > 0 {
				s.sendBatch(m, n, watch, now)
				continue
			}
		}
		m.send.Date(now) // what was put in while the Route was asked for
		until, end := m.turn.Sleep(m.due(), s.o.Linger, now)
		if end {
			if s.batch = nil; !m.recv.Busy() {
				s.out.Rest()
			}
			m.rest()
			s.unlock()
			return
		}
		s.unlock()
		timer.Reset(max(1, until-now))
		select {
		case <-s.wake:
		case <-timer.C:
		case <-s.all.life.Context().Done():
		}
	}
}

// watchdog is a timer that is to be set while a batch is being sent: it leaves a path that does not take it.
func (s *session) watchdog() (watch *time.Timer) {
	watch = time.AfterFunc(s.o.Paths.Stall, func() {
		var again time.Duration
		if s.with(func(m *machine, now time.Duration) { again = m.stuck(now) }); again > 0 {
			watch.Reset(again)
		}
	})
	watch.Stop()
	return watch
}

// outgoing is the batch, which an idle session does not have.
func (s *session) outgoing() *outgoing {
	if s.batch == nil {
		s.batch = &outgoing{}
	}
	return s.batch
}

// sendBatch sends the n frames of the batch. It gives the lock back.
func (s *session) sendBatch(m *machine, n int, watch *time.Timer, now time.Duration) {
	s.do() // there may be another path since a moment
	path, life, number, out := m.paths.Used(), s.path.life, s.path.number, s.batch
	m.turn.Begin(number, now)
	patience := m.stuckDue() - now
	s.unlock()
	out.seal(n)
	out.trace(s.o.Trace, path, s.remote, n, s.o.Trace.Now())
	watch.Reset(patience)
	err := s.o.Send(life, path, s.remote, out.frames[:n]...)
	watch.Stop()
	out.shrink(2 * (s.o.FrameBytes + wire.FrameOverhead))
	m, now = s.lock(), s.all.now()
	defer s.unlock()
	m.turn.End(now)
	if err != nil && m.paths.Number() == number { // else path was left, and what was not acknowledged goes elsewhere
		m.lose(path, err.Error(), now)
	}
}

// sendNow sends the last message, where the path takes it at once; else the pump does that. It gives the lock back.
func (s *session) sendNow(m *machine, now time.Duration) {
	s.all.life.Join()
	defer s.all.life.Done()
	path, out := m.paths.Used(), s.outgoing()
	before := m.single(out, now)
	s.unlock()
	out.seal(1)
	at := s.o.Trace.Now()
	sent := s.o.TrySend(path, s.remote, out.frames[0])
	if sent {
		out.trace(s.o.Trace, path, s.remote, 1, at)
	}
	out.carried[0] = nil
	out.shrink(2 * (s.o.FrameBytes + wire.FrameOverhead))
	s.lock().singleSent(sent, before)
	s.unlock()
}

// settle waits until the session is quiet, or ctx ends. No message is taken any more.
func (s *session) settle(ctx context.Context) {
	done := make(chan struct{})
	m := s.lock()
	m.close()
	s.settled = done
	s.unlock()
	select {
	case <-done:
	case <-ctx.Done():
	case <-s.all.life.Context().Done():
	}
}
