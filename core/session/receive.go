package session

import (
	"context"
	"crypto/cipher"
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/receiver"
	"github.com/protofly/protofly/core/session/internal/strangers"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// arrival is a frame that was opened and parsed.
type arrival struct {
	wire.Head
	wire.Fields
	wire.Extent
	size   int    // of the frame
	items  []byte // messages and records
	memory int    // bytes of the memory that items is a part of, where it is not the frame's; 0: it is
}

// ownFrom is from how many bytes on a frame is opened into memory that its messages keep. Most of those frames have
// one large message, or so many that they would be copied as a whole.
const ownFrom = 4 << 10

// open opens a sealed frame and reads it.
func open(aead cipher.AEAD, h wire.Head, frame []byte) (a arrival, err error) {
	to := frame[wire.SealedHead:wire.SealedHead]
	if h.Kind == wire.Data && len(frame) >= ownFrom {
		to = make([]byte, 0, len(frame)-wire.SealedHead-wire.TagSize)
		a.memory = cap(to)
	}
	body, err := handshake.UnsealTo(to, aead, frame)
	if err != nil {
		return a, err
	}
	a.Head, a.size = h, len(frame)
	if a.Fields, a.items, err = wire.ParseFields(body); err == nil {
		a.Extent, err = wire.Measure(a.items, 0)
	}
	return a, err
}

// head takes the head of a frame, and the whole of a hello. Of another frame it gives what opens it; nil: it is not to be opened.
func (m *machine) head(path Path, h wire.Head, body []byte, others *strangers.Strangers, now time.Duration) (keys *handshake.Keys, aead cipher.AEAD) {
	if h.From == m.pair.Own() { // our own, reflected
		m.count.dropped++
		return nil, nil
	}
	if m.paths.None() || m.pair.Peer() == 0 { // else only what is proven to be the peer's says where it is
		m.paths.Came(path)
	}
	switch {
	case h.Kind == wire.Hello:
		m.greeted(path, h, body, others, now)
		return nil, nil
	case h.From != m.pair.Peer() || h.To != m.pair.Own():
		m.disturbed(path, m.pair.Strange(path.Stub, h.From, now), now)
		return nil, nil
	}
	keys = m.pair.Keys()
	if aead = keys.In.Of(h.Epoch); aead == nil {
		m.disturbed(path, m.pair.Unopened(path.Stub, now), now)
	}
	return keys, aead
}

// greeted takes a hello.
func (m *machine) greeted(path Path, h wire.Head, body []byte, others *strangers.Strangers, now time.Duration) {
	var earlier []*handshake.Answer
	if len(body) > 0 && body[0] == handshake.StepThird {
		earlier = others.Answered(m.remote, h.To, now)
	}
	c := m.pair.Greeted(path.Stub, h, body, earlier, others, now)
	if c.Adopted {
		others.Forget(m.remote)
		m.paths.Came(path)
	}
	m.disturbed(path, c, now)
}

// opened takes a frame that pretends to be of the pair with keys, when it was opened, or that has failed with err. here is what
// whoever brought it delivers. proven: it is the peer's. aside: it is acknowledged by the path that it came by, too.
func (m *machine) opened(path Path, keys *handshake.Keys, a *arrival, err error, here *receiver.Batch, now time.Duration) (proven, aside bool) {
	switch {
	case keys != m.pair.Keys(): // of a handshake that was replaced meanwhile
		m.count.dropped++
	case err != nil:
		m.disturbed(path, m.pair.Unopened(path.Stub, now), now)
	case !keys.In.Take(a.Head): // the replay check
		m.count.dropped++
	default:
		m.paths.Came(path)
		m.pair.Heard()
		m.arrive(a, here, now)
		return true, m.paths.Aside(path, a.Kind != wire.Ack, a.size, now)
	}
	return false, false
}

// arrive takes a frame of the pair.
func (m *machine) arrive(a *arrival, here *receiver.Batch, now time.Duration) {
	if !m.acknowledged(&a.Fields, now) {
		m.count.dropped++
		return
	}
	if m.tell.Heard(now) {
		m.poke()
	}
	if a.Kind == wire.Resume && m.send.Asked(a.Seen) { // the generation check of requests: an older one has been met already
		m.send.Rewind()
		m.poke()
	}
	if a.Kind == wire.Resume || a.Kind == wire.Probe {
		m.answerSoon()
		m.paths.Moved()
	}
	old, newer := m.recv.Generation(a.Gen)
	if old { // of a path or a run that was left
		return
	}
	if newer {
		m.paths.Newest(m.paths.LastIn())
	}
	b, left, verdict := m.recv.Take(&a.Fields, a.Extent, a.items, m.total.Full(), now)
	switch verdict {
	case receiver.Gap, receiver.Duplicate, receiver.Overrun: // the peer has to be told
		m.poke()
	case receiver.Fresh:
		b.Lent, b.Memory = a.memory == 0, a.memory
		m.accept(&b, left, here, now)
	}
}

func (m *machine) answerSoon() {
	m.recv.Acknowledge()
	m.poke()
}

// acknowledged takes what a frame says about our messages. It is false where that is impossible.
func (m *machine) acknowledged(f *wire.Fields, now time.Duration) bool {
	if !m.send.Possible(f) || !m.pair.Seen(f.Epoch) { // the acknowledgement check: nobody has what was not sent
		return false
	}
	a := m.send.Acknowledged(f)
	if a.Progress {
		m.freed(a.Freed, a.Reports, now)
		m.paths.Progress(m.waits(), now)
	}
	if a.Credit {
		m.admit(now)
	}
	if a.Opened {
		m.poke()
	}
	return true
}

// accept puts what is new in a frame into the inbox, and takes the records among it.
func (m *machine) accept(b *receiver.Batch, e wire.Extent, here *receiver.Batch, now time.Duration) {
	if e.Records > 0 {
		wire.EachRecord(b.Items, len(b.Routing), func(record []byte) {
			m.reported(record, now)
			m.recv.Claim(record)
		})
	}
	b.By = m.ledger
	cost, atOnce := m.recv.Put(b, e, !m.closed)
	m.total.Came(cost)
	if atOnce {
		*here = *b
	} else {
		m.handOver()
	}
	if first := m.recv.Count(cost, now); m.recv.WantsAck() {
		m.poke()
	} else if first {
		m.pokeAt(m.recv.AckDue())
	}
}

// claimed passes on what the peer has claimed.
func claimed(ctx context.Context, o *Options, remote message.URL, list []wire.Claim) {
	var addresses []message.URL
	for i, c := range list {
		addresses = append(addresses, c.Address)
		if i+1 < len(list) && list[i+1].Ended == c.Ended {
			continue
		}
		if !c.Ended {
			o.Claims.Announced(ctx, remote, addresses)
		} else if o.Claims.Ended != nil {
			o.Claims.Ended(ctx, remote, addresses)
		}
		addresses = addresses[:0:0]
	}
}

// claimsTaken notes that what the peer has claimed was taken.
func (m *machine) claimsTaken(time.Duration) {
	if m.recv.ClaimsTaken(m.total.Full()) {
		m.poke()
	}
}

// batches are those that wait, in exchange for the memory of room. end: the goroutine that delivers ends, which has been idle,
// and there is nothing more.
func (m *machine) batches(room []receiver.Batch, idle bool) (list []receiver.Batch, end bool) {
	switch {
	case !idle:
		return m.recv.Batches(room), false
	case m.recv.Busy(): // something has come just now, or whoever brought a frame delivers
		return room[:0], false
	}
	m.delivering = false
	m.recv.Rest()
	return nil, true
}
