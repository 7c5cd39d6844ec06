package session

import (
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/outcomes"
	"github.com/protofly/protofly/core/session/internal/sender"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/internal/buffers"
)

// pack fills a batch of frames with what there is to send by the path in use, and says how many they are.
func (m *machine) pack(out *outgoing, now time.Duration) int {
	n := 0
	for n < maxBatch {
		b, ok := m.pair.AppendHello(out.frames[n][:0])
		if !ok {
			break
		}
		out.frames[n], out.carried[n], out.seals[n] = b, nil, nil
		n++
	}
	if m.pair.Peer() == 0 {
		m.recv.Told()
		m.paths.Probed()
		return n
	}
	for n < maxBatch {
		more := m.mayMore()
		if !more && !m.recv.WantsResume() && !m.paths.WantsProbe() && !m.recv.WantsAck() {
			break
		}
		m.frame(out, n, more, now)
		n++
	}
	return n
}

// frame makes frame n of the batch, with messages where more says that there are some to send. It is closed later, without the
// lock.
func (m *machine) frame(out *outgoing, n int, more bool, now time.Duration) {
	k := wire.Ack
	switch {
	case m.recv.WantsResume():
		k = wire.Resume
	case m.paths.WantsProbe():
		k = wire.Probe
	case more:
		k = wire.Data
	}
	size := wire.FrameOverhead
	b := out.frames[n][:0]
	if more {
		size += m.send.PackSize()
		if cap(b) < size && size > m.o.FrameBytes+wire.FrameOverhead {
			out.large[n] = buffers.Get(size)
			b = (*out.large[n])[:0]
		}
	}
	h, aead := m.pair.Stamp(k, size)
	b = wire.AppendHead(b, h)
	var f wire.Fields
	m.pair.Fields(&f)
	m.send.Fields(&f)
	m.recv.Fields(&f, m.total.Full())
	b = f.Append(b)
	out.carried[n] = nil
	if more {
		start := len(b)
		b = m.send.Pack(b)
		if m.o.Trace.Watched() {
			out.carried[n] = wire.Messages(b[start:])
		}
		m.paths.Sent(now)
	}
	m.paths.Probed()
	out.frames[n], out.seals[n] = b, aead
}

// mayMore tells whether a message may be sent now: there is one, the peer takes it, and nothing makes us think that the
// peer has a new life: what is sent to the old one would be in doubt.
func (m *machine) mayMore() bool {
	return !m.pair.Holding() && m.send.MaySend()
}

// maySend tells whether the poster of the last message is to send it, instead of the pump, which would have to be woken:
// there is nothing else to send, nobody sends, and, unless it is the only one that is not acknowledged, messages do not come in
// a row.
func (m *machine) maySend() (may, only bool) {
	if m.o.TrySend == nil || m.turn.Sending() || m.closed || m.pair.Peer() == 0 || m.paths.None() {
		return false, false
	}
	last, only := m.send.Single()
	return last && m.mayMore() && !m.pair.WantsHello() && !m.recv.WantsResume() && !m.paths.WantsProbe() && !m.paths.Asking(), only
}

// single makes frame 0 of a batch, with the last message, which its poster sends. The result says what to do where that fails.
func (m *machine) single(out *outgoing, now time.Duration) unsent {
	u := unsent{position: m.send.Position(), owed: m.recv.Owes()}
	m.turn.BeginPoster(m.paths.Number(), now)
	m.frame(out, 0, true, now)
	return u
}

// unsent is what a session was like before a poster began to send.
type unsent struct {
	position sender.Position
	owed     bool // an acknowledgement
}

// singleSent is the end of single.
func (m *machine) singleSent(sent bool, before unsent) {
	look := m.turn.EndPoster()
	if !sent {
		if before.owed {
			m.recv.Acknowledge()
		}
		m.send.GoBack(before.position)
	}
	if !sent || look {
		m.poke()
	} else if due := m.due(); due != 0 {
		m.pokeAt(due)
	}
}

// sealAside makes an acknowledgement that goes by a path that is not the one in use.
func (m *machine) sealAside() []byte {
	h, aead := m.pair.Stamp(wire.Ack, wire.FrameOverhead)
	var f wire.Fields
	m.pair.Fields(&f)
	m.send.Fields(&f)
	m.recv.FieldsAside(&f)
	return handshake.Seal(aead, f.Append(wire.AppendHead(make([]byte, 0, wire.FrameOverhead), h)))
}

// tick does what is due by time.
func (m *machine) tick(now time.Duration) {
	m.send.Date(now)
	if d, any := m.send.DropExpired(now); any {
		m.tellAgain(d.Records)
		m.given(d, Expired, "not acknowledged in time", now)
	}
	if m.tell.Tells(now) {
		m.collect(now)
	}
	m.changed(m.pair.Tick(!m.send.Empty(), now), now)
	m.recv.Tick(now)
	switch m.tell.Tick(m.pair.Peer() != 0 && m.send.Untaken(), now) {
	case outcomes.Ask:
		m.paths.Probe()
	case outcomes.GiveUp:
		m.given(m.send.DropAcknowledged(), Expired, "the remote runtime had it, and does not answer any more", now)
	}
	if m.paths.Tick(m.waits(), now) {
		m.event(Event{Kind: Stalled, Path: m.paths.Used(), Why: "nothing is acknowledged"})
	}
}

// hasWork tells whether there is something to send.
func (m *machine) hasWork() bool {
	return m.pair.WantsHello() || m.recv.WantsAck() || m.recv.WantsResume() || m.paths.WantsProbe() || !m.send.Empty()
}

// due is when something has to be done by time, 0: never.
func (m *machine) due() time.Duration {
	var first time.Duration
	at := func(t time.Duration) {
		if t != 0 && (first == 0 || t < first) {
			first = t
		}
	}
	m.pair.Due(at)
	at(m.recv.AckDue())
	m.tell.Due(at)
	at(m.paths.ProbeDue())
	at(m.paths.StallDue())
	if m.hasWork() {
		at(m.paths.RouteDue())
	}
	at(m.send.Due())
	return first
}

// rest is the end of the pump: the memory of an idle session goes.
func (m *machine) rest() {
	m.send.Rest()
	m.pair.Rest()
	if m.pair.Peer() == 0 && m.send.Empty() && m.send.Waiting() == 0 && m.recv.Cost() == 0 && m.send.Outstanding() == 0 {
		m.end()
	}
}
