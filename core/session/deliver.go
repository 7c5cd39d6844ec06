package session

import (
	"bytes"
	"time"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/minibus"
)

// inbox holds received messages until they are delivered, and counts them until they are taken. The session's mu guards
// it.
type inbox struct {
	parcels []parcel
	cost    int  // of all messages that are not taken
	overrun bool // the peer sent more than we said we take: it has to send it again
	told    int  // the room that the peer was told last
}

// parcel is the messages of one frame, in wire form, records among them.
type parcel struct {
	wire    []byte
	first   uint64 // number of the first
	account *account
}

// add copies the messages: the frame is not ours.
func (in *inbox) add(wire []byte, first uint64, cost int, s *session) {
	in.parcels = append(in.parcels, parcel{append([]byte(nil), wire...), first, s.account})
	in.cost += cost
	s.all.waiting.Add(int64(cost))
	if s.delivering {
		notify(s.came)
	} else if !s.closed {
		s.delivering = true
		s.all.wg.Add(1)
		go s.deliver()
	}
}

// roomNow is how many bytes the inbox takes. The last frame may go over it. mu is held.
func (s *session) roomNow() int {
	if s.all.waiting.Load() >= int64(s.o.TotalBytes) && s.inbox.cost > 0 {
		return 0
	}
	return max(0, s.o.InboxBytes-s.inbox.cost)
}

// emptied takes what was settled off the inbox's account, and tells the peer when much room has come back. mu is held.
func (s *session) emptied(cost int) {
	s.inbox.cost -= cost
	s.all.waiting.Add(-int64(cost))
	if s.roomNow() < s.o.InboxBytes/2 {
		return
	}
	if s.inbox.overrun { // whatever the peer was told meanwhile, it does not send that again by itself
		s.inbox.overrun = false
		s.resumeNow = true
		s.poke()
	}
	if s.inbox.told < s.o.InboxBytes/4 {
		s.inbox.told = s.roomNow() // once is enough
		s.answerSoon()
	}
}

// Delivery is a message of a remote runtime on its way to its listener; see Options.Deliver.
type Delivery struct {
	Remote  message.URL
	Message message.Message
	// Receipt is settled when the message is taken, or was refused and its sender has been answered.
	Receipt minibus.Receipt
	Wait    bool // Deliver may wait
	Again   bool // it has been tried before, without waiting
}

// deliver is the goroutine that gives messages to Options.Deliver. It ends when none has come for a while.
func (s *session) deliver() {
	defer s.all.wg.Done()
	timer := time.NewTimer(s.o.Linger)
	defer timer.Stop()
	var parcels []parcel
	w := &walker{s: s}
	for {
		s.mu.Lock()
		parcels, s.inbox.parcels = s.inbox.parcels, parcels[:0]
		s.mu.Unlock()
		for i := range parcels {
			if !w.walk(&parcels[i]) {
				return
			}
			parcels[i] = parcel{}
		}
		if len(parcels) > 0 {
			continue
		}
		timer.Reset(s.o.Linger)
		select {
		case <-s.came:
		case <-s.all.life.Done():
			return
		case <-timer.C:
			s.mu.Lock()
			if len(s.inbox.parcels) == 0 {
				s.delivering, s.inbox.parcels = false, nil
				s.mu.Unlock()
				return
			}
			s.mu.Unlock()
		}
	}
}

// walker takes the messages out of parcels, one after the other.
type walker struct {
	s      *session
	parser message.Parser
	d      Delivery
	to     destinationKey // of the last message
	run    int            // how many messages before it had the same
}

// shortRun is how many messages to one destination one behind the other get a copy of their bodies: each of them could
// keep the memory of a whole frame that is nearly all others'. In longer runs that is little for each.
const shortRun = 8

// walk delivers the messages of p. It is false where the runtime ends.
func (w *walker) walk(p *parcel) bool {
	s := w.s
	number := p.first
	for wire := p.wire; len(wire) > 0; number++ {
		one, rest, own, ok := cut(wire)
		if !ok {
			return true // cannot be: Receive has checked it
		}
		cost := len(wire) - len(rest) + entryCost
		wire = rest
		if own {
			continue
		}
		if s.all.life.Err() != nil {
			return false
		}
		w.d = Delivery{Remote: s.remote, Receipt: minibus.Receipt{By: p.account, Number: number, Cost: uint32(cost)}}
		var err error
		if w.d.Message, err = w.parser.Parse(one); err != nil {
			s.mu.Lock()
			s.event(Event{Kind: Refused, Path: s.path, Why: err.Error()})
			s.unlock()
			w.d.Receipt.Refused(message.CodeBadRequest)
			continue
		}
		key := destinationKey{w.d.Message.To, w.d.Message.Type == message.Response}
		if key != w.to {
			w.to, w.run = key, 0
		}
		if w.run++; w.run <= shortRun && len(p.wire) > 4*len(one) {
			w.d.Message.Body = bytes.Clone(w.d.Message.Body)
		}
		if s.held.n.Load() > 0 && s.held.behind(key, one, w.d.Receipt) {
			continue
		}
		if s.o.Deliver(s.all.life, &w.d) {
			continue
		}
		w.d.Again = true
		if s.holdUp(key, one, w.d.Receipt) {
			continue
		}
		w.d.Wait = true // too many are behind: then all wait
		s.o.Deliver(s.all.life, &w.d)
	}
	return true
}
