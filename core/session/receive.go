package session

import (
	"context"
	"crypto/cipher"
	"errors"
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/receiver"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Receive takes a frame that came from remote through path, as the path says; whether it did is what the seal proves.
// Receive may call Options.Deliver, but never waits for listeners. It changes the frame, and does not keep it. Whatever is in the frame does no harm:
// what cannot be used is counted in State.Dropped.
func (s *Sessions) Receive(_ context.Context, remote message.URL, path Path, frame []byte) {
	if len(frame) > sdk.MaxFrame {
		return
	}
	h, err := wire.ParseHead(frame)
	if errors.Is(err, wire.ErrVersion) {
		s.foreign(remote.Canonical(), path, frame[0])
	}
	if err != nil {
		return
	}
	remote = remote.Canonical()
	for one := s.find(remote); one != nil; one = s.find(remote) {
		if one.receive(path, h, frame) {
			return
		}
	}
	switch err := s.trusts(remote); {
	case err == nil:
		s.stranger(remote, path, h, frame)
	case errors.Is(err, ErrUntrusted):
		s.refused(remote, err)
	}
}

// arrival is a frame that was opened and parsed.
type arrival struct {
	wire.Head
	wire.Fields
	wire.Extent
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
	a.Head = h
	if a.Fields, a.items, err = wire.ParseFields(body); err == nil {
		a.Extent, err = wire.Measure(a.items, 0)
	}
	return a, err
}

// receive is false where the session was forgotten meanwhile.
func (s *session) receive(path Path, h wire.Head, frame []byte) bool {
	l := s.lock()
	known := l.met(path, h, frame)
	here := s.here
	s.here = receiver.Batch{}
	l.unlock()
	if here.Items != nil {
		s.deliverHere(&here)
	}
	return known
}

// met takes a frame. It is false where the session was forgotten meanwhile.
func (s locked) met(path Path, h wire.Head, frame []byte) bool {
	now := s.all.now()
	switch {
	case s.gone:
		return false
	case h.From == s.pair.Own(): // our own, reflected
		s.count.dropped++
		return true
	case s.paths.None() || s.pair.Peer() == 0: // else only what is proven to be the peer's says where it is
		s.paths.Came(path)
	}
	switch {
	case h.Kind == wire.Hello:
		s.greeted(path, h, frame[wire.HeadSize:], now)
	case h.From != s.pair.Peer() || h.To != s.pair.Own():
		s.disturbed(s.pair.Strange(path.Stub, h.From, now), now)
	default:
		s.sealed(path, h, frame)
	}
	return true
}

// sealed takes a frame that pretends to be of the pair. It gives the lock back while the frame is opened.
func (s locked) sealed(path Path, h wire.Head, frame []byte) {
	keys := s.pair.Keys()
	aead := keys.In.Of(h.Epoch)
	if aead == nil {
		now := s.all.now()
		s.disturbed(s.pair.Unopened(path.Stub, now), now)
		return
	}
	s.mu.Unlock()
	a, err := open(aead, h, frame)
	s.mu.Lock()
	switch now := s.all.now(); {
	case keys != s.pair.Keys(): // of a handshake that was replaced meanwhile
		s.count.dropped++
	case err != nil:
		s.disturbed(s.pair.Unopened(path.Stub, now), now)
	case !keys.In.Take(h): // the replay check
		s.count.dropped++
	default:
		s.cameBy(path)
		s.pair.Heard()
		s.arrive(&a, now)
		if s.paths.Aside(path, h.Kind != wire.Ack, len(frame), now) {
			s.acknowledgeBy(path)
		}
	}
}

// arrive takes a frame of the pair.
func (s locked) arrive(a *arrival, now time.Duration) {
	if !s.acknowledged(&a.Fields, now) {
		s.count.dropped++
		return
	}
	if s.tell.Heard(now) {
		s.poke()
	}
	if a.Kind == wire.Resume && s.send.Asked(a.Seen) { // the generation check of requests: an older one has been met already
		s.send.Rewind()
		s.poke()
	}
	if a.Kind == wire.Resume || a.Kind == wire.Probe {
		s.answerSoon()
		s.paths.Moved()
	}
	old, newer := s.recv.Generation(a.Gen)
	if old { // of a path or a run that was left
		return
	}
	if newer {
		s.newest()
	}
	b, left, verdict := s.recv.Take(&a.Fields, a.Extent, a.items, s.all.memory.Full(), now)
	switch verdict {
	case receiver.Gap, receiver.Duplicate, receiver.Overrun: // the peer has to be told
		s.poke()
	case receiver.Fresh:
		b.Lent, b.Memory = a.memory == 0, a.memory
		s.accept(&b, left, now)
	}
}

func (s locked) answerSoon() {
	s.recv.Acknowledge()
	s.poke()
}

// acknowledged takes what a frame says about our messages. It is false where that is impossible.
func (s locked) acknowledged(f *wire.Fields, now time.Duration) bool {
	if !s.send.Possible(f) || !s.pair.Seen(f.Epoch) { // the acknowledgement check: nobody has what was not sent
		return false
	}
	a := s.send.Acknowledged(f)
	if a.Progress {
		s.freed(a.Freed, a.Reports)
		s.paths.Progress(s.waits(), now)
	}
	if a.Credit {
		s.admit()
	}
	if a.Opened {
		s.poke()
	}
	return true
}

// accept puts what is new in a frame into the inbox, and takes the records among it.
func (s locked) accept(b *receiver.Batch, e wire.Extent, now time.Duration) {
	if e.Records > 0 {
		s.takeRecords(b)
	}
	b.By = s.ledger
	cost, here := s.recv.Put(b, e, !s.closed)
	s.all.memory.Came(cost)
	if here {
		s.here = *b
		s.all.wg.Add(1)
	} else {
		s.handOver()
	}
	if first := s.recv.Count(cost, now); s.recv.WantsAck() {
		s.poke()
	} else if first {
		s.pokeAt(s.recv.AckDue())
	}
}

// takeRecords takes the records in a batch.
func (s locked) takeRecords(b *receiver.Batch) {
	routing := len(b.Routing)
	for left := b.Items; len(left) > 0; {
		one, rest, ok := wire.Cut(left, routing)
		if !ok {
			return // cannot be: it was measured
		}
		if one.Size == 0 {
			s.reportedBy(one.Own)
			s.recv.Claim(one.Own)
		}
		left, routing = rest, one.After(routing)
	}
}

// greeted takes a hello.
func (s locked) greeted(path Path, h wire.Head, body []byte, now time.Duration) {
	var earlier []*handshake.Answer
	if len(body) > 0 && body[0] == handshake.StepThird {
		earlier = s.all.strangers.Answered(s.remote, h.To, now)
	}
	c := s.pair.Greeted(path.Stub, h, body, earlier, &s.all.strangers, now)
	if c.Adopted {
		s.all.strangers.Forget(s.remote)
	}
	s.disturbed(c, now)
}
