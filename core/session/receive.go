package session

import (
	"context"
	"crypto/cipher"
	"errors"
	"time"

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
	parts  []byte // messages and records
	memory int    // bytes of the memory that parts is a part of, where it is not the frame's; 0: it is
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
	body, err := unsealTo(to, aead, frame)
	if err != nil {
		return a, err
	}
	a.Head = h
	if a.Fields, a.parts, err = wire.ParseFields(body); err == nil {
		a.Extent, err = wire.Measure(a.parts, 0)
	}
	return a, err
}

// receive is false where the session was forgotten meanwhile.
func (s *session) receive(path Path, h wire.Head, frame []byte) bool {
	s.mu.Lock()
	known := s.met(path, h, frame)
	here := s.here
	s.here = parcel{}
	s.unlock()
	if here.wire != nil {
		s.walkHere(&here)
	}
	return known
}

// met takes a frame. It is false where the session was forgotten meanwhile. mu is held.
func (s *session) met(path Path, h wire.Head, frame []byte) bool {
	now := s.all.now()
	switch {
	case s.gone:
		return false
	case h.From == s.local.incarnation: // our own, reflected
		s.dropped++
		return true
	case s.paths.None() || s.peer == 0: // else only what is proven to be the peer's says where it is
		s.paths.Came(path)
	}
	switch {
	case h.Kind == wire.Hello:
		s.greeted(path, h, frame[wire.HeadSize:], now)
	case h.From != s.peer || h.To != s.local.incarnation:
		s.strange(path, h.From, now)
	default:
		s.sealed(path, h, frame)
	}
	return true
}

// sealed takes a frame that pretends to be of the pair. mu is held, and given back while the frame is opened.
func (s *session) sealed(path Path, h wire.Head, frame []byte) {
	keys := s.keys
	aead := keys.in.of(h.Epoch)
	if aead == nil {
		s.unopened(path, s.all.now())
		return
	}
	s.mu.Unlock()
	a, err := open(aead, h, frame)
	s.mu.Lock()
	switch now := s.all.now(); {
	case keys != s.keys: // of a handshake that was replaced meanwhile
		s.dropped++
	case err != nil:
		s.unopened(path, now)
	case !keys.in.take(h): // the replay check
		s.dropped++
	default:
		s.cameBy(path)
		s.holdTo = 0
		s.confirm()
		s.arrive(&a, now)
		if s.paths.Aside(path, h.Kind != wire.Ack, len(frame), now) {
			s.acknowledgeBy(path)
		}
	}
}

// arrive takes a frame of the pair. mu is held.
func (s *session) arrive(a *arrival, now time.Duration) {
	if !s.acknowledged(&a.Fields, now) {
		s.dropped++
		return
	}
	s.heardAt = now
	if s.tellHeld {
		s.tellHeld, s.tellNow = false, true
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
	if a.Gen < s.seen { // the generation check of data: a path or a run that was left
		return
	}
	if a.Gen > s.seen {
		s.newest()
	}
	s.seen = a.Gen
	s.next = max(s.next, a.Base) // what is below was given up
	end := a.First + a.Count
	switch {
	case a.First > s.next:
		s.gap(now)
	case a.Count == 0:
	case end <= s.next: // the duplicate check: the peer lacks our acknowledgement
		s.answerSoon()
	default:
		s.accept(a, now)
	}
}

func (s *session) answerSoon() {
	s.ackNow = true
	s.poke()
}

// acknowledged takes what a frame says about our messages. It is false where that is impossible. mu is held.
func (s *session) acknowledged(f *wire.Fields, now time.Duration) bool {
	out := &s.keys.out
	if !s.send.Possible(f) || f.Epoch > uint64(out.epoch) { // the acknowledgement check: nobody has what was not sent
		return false
	}
	out.seen = max(out.seen, uint32(f.Epoch))
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

// gap has the peer asked to resume: at once for each of its generations, then again after a while. mu is held.
func (s *session) gap(now time.Duration) {
	if s.resumeGen == s.seen && now < s.resumeAt+resumePause {
		return
	}
	s.resumeGen, s.resumeAt, s.resumeNow = s.seen, now, true
	s.poke()
}

// accept puts the messages that are new into the inbox, and takes the records among them. mu is held.
func (s *session) accept(a *arrival, now time.Duration) {
	if s.roomNow() == 0 && a.Records < a.Count {
		s.inbox.overrun = true // asks to resume when there is room
		s.answerSoon()
		return
	}
	p, e := parcel{wire: a.parts, first: s.next, lent: a.memory == 0, memory: a.memory}, a.Extent
	if s.next > a.First {
		p.routing, p.wire = wire.Skip(a.parts, s.next-a.First)
		e, _ = wire.Measure(p.wire, len(p.routing)) // no error: all of it was measured
	}
	s.next = a.First + a.Count
	if e.Records > 0 {
		s.takeRecords(&p)
	}
	p.announced = len(s.claims.coming) > 0
	cost := 0
	if messages := e.Count - e.Records; messages > 0 {
		cost = wire.Cost(uint64(e.Size), messages)
		s.putIn(p, int(messages), cost)
	} else if p.announced && s.claims.ending() { // which waits for no message
		s.putEnd(p)
	}
	s.unackedIn++
	s.bytesIn += cost
	if s.unackedIn >= s.o.AckFrames || s.bytesIn >= s.o.InboxBytes/8 {
		s.answerSoon()
	} else if s.ackDue == 0 {
		s.ackDue = now + s.o.AckDelay
		s.pokeAt(s.ackDue)
	}
}

// takeRecords takes the records in a parcel. mu is held.
func (s *session) takeRecords(p *parcel) {
	routing := len(p.routing)
	for left := p.wire; len(left) > 0; {
		one, rest, ok := wire.Cut(left, routing)
		if !ok {
			return // cannot be: it was measured
		}
		if one.Size == 0 {
			s.reportedBy(one.Own)
			if s.o.Announced != nil {
				s.claims.add(one.Own)
			}
		}
		left, routing = rest, one.After(routing)
	}
}

// cameBy notes by which path the peer's last frame came. mu is held.
func (s *session) cameBy(path Path) {
	s.paths.Came(path)
	if before := s.door.Load(); before == nil || *before != path.Door {
		door := path.Door
		s.door.Store(&door)
	}
}
