package session

import (
	"bytes"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/minibus"
)

// Run is messages of a remote runtime, one behind the other, that have all the same but their IDs and bodies, on their way
// to their listener; see Options.DeliverRun.
type Run struct {
	Remote   message.URL
	Messages []minibus.Handed
}

// maxRun is the most messages in a Run: enough that what is done once for all of them counts little.
const maxRun = 32

// walker takes the messages out of parcels, one after the other, and delivers them in runs.
type walker struct {
	s      *session
	source uint32 // the remote runtime, in receipts
	parser message.Parser
	run    Run
	again  bool     // the first of run has been tried before
	d      Delivery // of one that is delivered by itself
	to     wire.Key // of the last message
	count  int      // how many messages, up to it, have the same
}

// shortRun is how many messages to one destination one behind the other get a copy of their bodies: each of them could
// keep the memory of a whole frame that is nearly all others'. In longer runs that is little for each. Frames with at
// most so many messages are not copied as a whole.
const shortRun = 8

// step is how delivering went.
type step uint8

const (
	on    step = iota
	stuck      // something has to be waited for
	ended      // the runtime ends
)

// walk delivers the messages of p. ended: the runtime ends. Where p is walked here it stops where something would have to
// be waited for; left is what has not been delivered then.
func (w *walker) walk(p *parcel) (left parcel, over bool) {
	defer func() { w.d, w.run.Remote = Delivery{}, "" }()
	w.room(p)
	if p.announced {
		w.s.takeAnnouncements()
	}
	routing := p.routing
	if routing != nil {
		w.parser.Routing(routing)
	}
	number := p.first
	for items, rest := p.wire, []byte(nil); len(items) > 0; number, items = number+1, rest {
		var one wire.Item
		var ok bool
		if one, rest, ok = wire.Cut(items, len(routing)); !ok {
			break // cannot be: Receive has checked it
		}
		if one.Size == 0 {
			continue
		}
		if one.Routing != nil {
			if w.flush(p) == ended {
				return left, true
			}
			routing = one.Routing
			w.parser.Routing(routing)
		}
		in := w.next()
		in.Receipt = minibus.Receipt{By: p.account, Number: number, Cost: uint32(one.Size + wire.MessageCost), Source: w.source}
		if err := w.parser.OwnTo(&in.Message, one.Own); err != nil {
			w.malformed(p, err)
			continue
		}
		if number == p.first {
			w.again = p.again
		}
		if !p.here && len(w.run.Messages) < maxRun {
			continue
		}
		switch w.flush(p) {
		case stuck:
			left = parcel{wire: items, routing: routing, first: number, account: p.account, again: true, lent: p.lent, memory: p.memory}
			left.own()
			return left, false
		case ended:
			return left, true
		}
	}
	return left, w.flush(p) == ended
}

// room sees to it that there is memory for a run. Who walks here delivers one message after the other.
func (w *walker) room(p *parcel) {
	size := maxRun
	if p.here {
		size = 1
	}
	if cap(w.run.Messages) < size {
		w.run.Messages = make([]minibus.Handed, 0, size)
	}
	w.run.Remote = w.s.remote
}

// next is the place of the next message in the run.
func (w *walker) next() *minibus.Handed {
	n := len(w.run.Messages)
	w.run.Messages = w.run.Messages[:n+1]
	return &w.run.Messages[n]
}

// malformed refuses the last of the run: it is no message.
func (w *walker) malformed(p *parcel, err error) {
	s, last := w.s, len(w.run.Messages)-1
	receipt := w.run.Messages[last].Receipt
	w.run.Messages[last] = minibus.Handed{}
	w.run.Messages = w.run.Messages[:last]
	s.mu.Lock()
	s.event(Event{Kind: Refused, Path: s.paths.Used(), Why: err.Error()})
	s.unlock()
	receipt.Refused(message.CodeBadRequest)
}

// flush delivers the run.
func (w *walker) flush(p *parcel) (how step) {
	run := w.run.Messages
	if len(run) == 0 {
		return on
	}
	if w.s.all.life.Err() != nil {
		how = ended
	} else {
		how = w.deliver(p)
	}
	clear(run)
	w.run.Messages, w.again = run[:0], false
	return how
}

// deliver gives the run to its destination, or to the queue of one that is behind. Where there are too many of these all
// wait, or, in a parcel that is walked here, it is stuck.
func (w *walker) deliver(p *parcel) step {
	s, run := w.s, w.run.Messages
	s.count(len(run), w.again)
	key := wire.KeyOf(&run[0].Message)
	if s.held.n.Load() > 0 && s.held.behind(key, run, w.again, p.pinned()) {
		return on
	}
	w.keep(key, p)
	n := 0
	if len(run) > 1 && !w.again && s.o.DeliverRun != nil {
		n = s.o.DeliverRun(&w.run)
	}
	for ; n < len(run); n++ {
		w.d = Delivery{Remote: s.remote, Door: s.cameIn(), Message: run[n].Message, Receipt: run[n].Receipt, Again: w.again && n == 0}
		if s.o.Deliver(s.all.life, &w.d) {
			continue
		}
		if s.holdUp(key, run[n:], true, p.kept()) {
			return on
		}
		if p.here {
			return stuck
		}
		w.d.Again, w.d.Wait = true, true
		s.o.Deliver(s.all.life, &w.d)
	}
	return on
}

// count counts messages on their way to a listener; again: the first has been counted.
func (s *session) count(messages int, again bool) {
	if again {
		messages--
	}
	s.received.Add(uint64(messages))
}

// cameIn is the door of the peer's last frame.
func (s *session) cameIn() message.URL {
	if door := s.door.Load(); door != nil {
		return *door
	}
	return ""
}

// keep copies the bodies in the run that must not stay where they are.
func (w *walker) keep(key wire.Key, p *parcel) {
	if key != w.to {
		w.to, w.count = key, 0
	}
	for i := range w.run.Messages {
		m := &w.run.Messages[i].Message
		if w.count++; p.lent || w.count <= shortRun && p.memory > 4*len(m.Body) {
			m.Body = bytes.Clone(m.Body)
		}
		if !p.lent && w.count > shortRun {
			w.count += len(w.run.Messages) - i - 1
			return
		}
	}
}

// pinned is the memory that a body in p keeps.
func (p *parcel) pinned() int {
	if p.lent {
		return lentMemory
	}
	return p.memory
}

// kept is pinned for bodies that keep has seen.
func (p *parcel) kept() int {
	if p.lent {
		return 0
	}
	return p.memory
}
