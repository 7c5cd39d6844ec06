package session

import (
	"bytes"
	"slices"
	"time"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/minibus"
)

// inbox holds received messages until they are delivered, and counts them until they are taken. The session's mu guards
// it.
//
// Messages are delivered by who has the walk, one goroutine at a time: Receive's caller, where a frame brings few and
// nobody else is at work, since waking another goroutine takes longer than they do; else the deliverer. Who has it and
// gives it back sees to it that parcels that have come meanwhile go to the deliverer.
type inbox struct {
	parcels []parcel
	walked  bool // somebody has the walk
	cost    int  // of all messages that are not taken
	overrun bool // the peer sent more than we said we take: it has to send it again
	told    int  // the room that the peer was told last
}

// parcel is the messages of one frame, in wire form, records among them, or the last of them.
type parcel struct {
	wire      []byte
	routing   []byte // of the message before the first, which may have the same; nil: there is none
	first     uint64 // number of the first
	account   *account
	again     bool // the first has been tried before
	announced bool // the peer has announced something that is to be taken first
	lent      bool // wire and routing are somebody else's memory
	memory    int  // bytes of the memory that wire is a part of, where it is not lent
	here      bool // Receive's caller has the walk: nothing may be waited for
}

// putIn takes the messages in p, so many of them, into the inbox. mu is held.
func (s *session) putIn(p parcel, messages, cost int) {
	s.inbox.cost += cost
	s.all.waiting.Add(int64(cost))
	p.account = s.account
	if messages <= shortRun && !s.inbox.walked && len(s.inbox.parcels) == 0 && !s.closed {
		p.here = true
		s.here, s.inbox.walked = p, true
		s.all.wg.Add(1)
		return
	}
	p.own()
	s.inbox.parcels = append(s.inbox.parcels, p)
	s.handOver()
}

// putEnd has what the peer has given up taken behind the messages that wait, by p, which has none. One such parcel takes all
// that has come until it is its turn: the peer cannot make more wait, since nothing in them counts. mu is held.
func (s *session) putEnd(p parcel) {
	if last := len(s.inbox.parcels) - 1; last >= 0 && len(s.inbox.parcels[last].wire) == 0 {
		return
	}
	p.wire, p.routing, p.lent, p.memory = []byte{}, nil, false, 0
	s.putIn(p, 0, 0)
}

// own makes the memory of p its own.
func (p *parcel) own() {
	if p.lent {
		p.wire, p.routing, p.lent, p.memory = bytes.Clone(p.wire), bytes.Clone(p.routing), false, len(p.wire)
	}
}

// handOver gives the walk to the deliverer where there is something to deliver and nobody has it. mu is held.
func (s *session) handOver() {
	if len(s.inbox.parcels) == 0 || s.inbox.walked || s.closed {
		return
	}
	s.inbox.walked = true
	if s.delivering {
		notify(s.came)
		return
	}
	s.delivering = true
	s.all.wg.Add(1)
	go s.deliver()
}

// walkHere delivers the messages of p for the caller of Receive, who has the walk, and gives it back. What somebody would
// have to wait for goes to the deliverer. mu is not held.
func (s *session) walkHere(p *parcel) {
	defer s.all.wg.Done()
	left, ended := s.walker.walk(p)
	s.mu.Lock()
	s.inbox.walked = false
	if len(left.wire) > 0 && !ended {
		s.inbox.parcels = slices.Insert(s.inbox.parcels, 0, left)
	}
	s.handOver()
	s.unlock()
}

// roomNow is how many bytes the inbox takes. The last frame may go over it. mu is held.
func (s *session) roomNow() int {
	if len(s.inbox.parcels) > 0 && s.claims.crowded() { // whose delivery takes what the peer has claimed
		return 0
	}
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
	Door    message.URL // by which the last frame of the remote runtime came
	Message message.Message
	// Receipt is settled when the message is taken, or was refused and its sender has been answered.
	Receipt minibus.Receipt
	Wait    bool // Deliver may wait
	Again   bool // it has been tried before, without waiting
}

// deliver is the goroutine that gives messages to Options.Deliver when it is given the walk. It ends when it has not
// been for a while.
func (s *session) deliver() {
	defer s.all.wg.Done()
	timer := time.NewTimer(s.o.Linger)
	defer timer.Stop()
	var parcels []parcel
	for {
		s.mu.Lock()
		parcels, s.inbox.parcels = s.inbox.parcels, parcels[:0]
		s.inbox.walked = len(parcels) > 0
		s.mu.Unlock()
		for i := range parcels {
			if _, ended := s.walker.walk(&parcels[i]); ended {
				return
			}
			parcels[i] = parcel{}
		}
		if len(parcels) == 0 && !s.nextWalk(timer) {
			return
		}
	}
}

// nextWalk waits for the walk. It is false where the deliverer is to end.
func (s *session) nextWalk(timer *time.Timer) bool {
	for {
		timer.Reset(s.o.Linger)
		select {
		case <-s.came:
			return true
		case <-s.all.life.Done():
			return false
		case <-timer.C:
			s.mu.Lock()
			if !s.inbox.walked { // else it may have been given to us just now
				s.delivering, s.inbox.parcels = false, nil
				s.mu.Unlock()
				return false
			}
			s.mu.Unlock()
		}
	}
}
