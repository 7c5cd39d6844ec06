package session

import (
	"time"

	"github.com/protofly/protofly/core/session/internal/outcomes"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/internal/buffers"
)

// pack fills frames with what there is to send, as many as a batch takes, and says how many.
func (s locked) pack(now time.Duration) int {
	if s.paths.None() {
		return 0
	}
	out := s.outgoing()
	n := 0
	for n < maxBatch {
		b, ok := s.pair.AppendHello(out.frames[n][:0])
		if !ok {
			break
		}
		out.frames[n], out.carried[n], out.seals[n] = b, nil, nil
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
		s.frame(n, more, now)
		n++
	}
	return n
}

// outgoing is the batch, which an idle session does not have.
func (s locked) outgoing() *outgoing {
	if s.batch == nil {
		s.batch = &outgoing{}
	}
	return s.batch
}

// frame makes frame n of the batch, with messages where more says that there are some to send. It is closed later, without the
// lock.
func (s locked) frame(n int, more bool, now time.Duration) {
	k := wire.Ack
	switch {
	case s.recv.WantsResume():
		k = wire.Resume
	case s.paths.WantsProbe():
		k = wire.Probe
	case more:
		k = wire.Data
	}
	out, size := s.batch, wire.FrameOverhead
	b := out.frames[n][:0]
	if more {
		size += s.send.PackSize()
		if cap(b) < size && size > s.o.FrameBytes+wire.FrameOverhead {
			out.large[n] = buffers.Get(size)
			b = (*out.large[n])[:0]
		}
	}
	h, aead := s.pair.Stamp(k, size)
	b = wire.AppendHead(b, h)
	var f wire.Fields
	s.pair.Fields(&f)
	s.send.Fields(&f)
	s.recv.Fields(&f, s.all.memory.Full())
	b = f.Append(b)
	out.carried[n] = nil
	if more {
		start := len(b)
		b = s.send.Pack(b)
		if s.o.Trace.Watched() {
			out.carried[n] = wire.Messages(b[start:])
		}
		s.paths.Sent(now)
	}
	s.paths.Probed()
	out.frames[n], out.seals[n] = b, aead
}

// mayMore tells whether a message may be sent now: there is one, the peer takes it, and nothing makes us think that the
// peer has a new life: what is sent to the old one would be in doubt.
func (s locked) mayMore() bool {
	return !s.pair.Holding() && s.send.MaySend()
}

// maySend tells whether the poster of the last message is to send it, instead of the pump, which would have to be woken:
// there is nothing else to send, nobody sends, and messages do not come in a row.
func (s locked) maySend() bool {
	if s.o.TrySend == nil || s.turn.Sending() || s.closed || s.pair.Peer() == 0 || s.paths.None() {
		return false
	}
	last, only := s.send.Single()
	return last && s.mayMore() && !s.pair.WantsHello() && !s.recv.WantsResume() && !s.paths.WantsProbe() && !s.paths.Asking() &&
		(only || !s.turn.Row(s.all.now()))
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

// rest is the end of the pump: the memory of an idle session goes.
func (s locked) rest() {
	s.batch = nil
	if !s.recv.Busy() {
		s.out.Rest()
	}
	s.send.Rest()
	s.pair.Rest()
	if s.pair.Peer() == 0 && s.send.Empty() && s.send.Waiting() == 0 && s.recv.Cost() == 0 && s.send.Outstanding() == 0 {
		s.leavePath()
		s.forget()
	}
}
