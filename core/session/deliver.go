package session

import (
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// inbox holds received messages until they are delivered. The session's mu guards it.
type inbox struct {
	parcels []parcel
	cost    int  // of all parcels that are not delivered, the one under delivery included
	overrun bool // the peer sent more than we said we take: it has to send it again
	told    int  // the room that the peer was told last
}

// parcel is the messages of one frame, in wire form.
type parcel struct {
	wire []byte
	cost int
}

// add copies the messages: the frame is not ours.
func (in *inbox) add(wire []byte, messages int, s *session) {
	p := parcel{wire: append([]byte(nil), wire...), cost: costOf(uint64(len(wire)), uint64(messages))}
	in.parcels = append(in.parcels, p)
	in.cost += p.cost
	s.all.waiting.Add(int64(p.cost))
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

// delivered takes a parcel off the inbox's account, and tells the peer when much room has come back. mu is held.
func (s *session) delivered(p parcel) {
	s.inbox.cost -= p.cost
	s.all.waiting.Add(-int64(p.cost))
	if s.inbox.told >= s.o.InboxBytes/4 || s.roomNow() < s.o.InboxBytes/2 {
		return
	}
	if s.inbox.overrun {
		s.inbox.overrun = false
		s.resumeNow = true
	}
	s.inbox.told = s.roomNow() // once is enough
	s.answerSoon()
}

// deliver is the goroutine that gives messages to Options.Deliver. It ends when none has come for a while.
func (s *session) deliver() {
	defer s.all.wg.Done()
	timer := time.NewTimer(s.o.Linger)
	defer timer.Stop()
	var parcels []parcel
	var parser message.Parser
	for {
		s.mu.Lock()
		parcels, s.inbox.parcels = s.inbox.parcels, parcels[:0]
		s.mu.Unlock()
		for i, p := range parcels {
			if !s.unpack(p, &parser) {
				return
			}
			parcels[i] = parcel{}
			s.mu.Lock()
			s.delivered(p)
			s.unlock()
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

// unpack delivers the messages of p. It is false where the runtime ends.
func (s *session) unpack(p parcel, parser *message.Parser) bool {
	for wire := p.wire; len(wire) > 0; {
		one, rest, ok := cut(wire)
		if !ok {
			return true // cannot be: Receive has checked it
		}
		wire = rest
		m, err := parser.Parse(one)
		if err != nil {
			s.mu.Lock()
			s.event(Event{Kind: Refused, Path: s.path, Why: err.Error()})
			s.unlock()
			continue
		}
		if s.all.life.Err() != nil {
			return false
		}
		s.o.Deliver(s.all.life, s.remote, m)
	}
	return true
}
