package session

import (
	"cmp"
	"slices"
)

// maxHeldUp is how many destinations a State names.
const maxHeldUp = 16

// state is the session's State.
func (s *session) state() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := State{
		Remote: s.remote, Incarnation: s.peer, Path: s.path, Generation: s.gen,
		Unacked: s.ring.unacked(), RingBytes: s.ring.cost(), Outstanding: s.out.live, InboxBytes: s.inbox.cost,
		Relayed: s.posted[0], Direct: s.posted[1], Received: s.received.Load(),
		Resets: s.resets, Rewinds: s.rewinds, Dropped: s.dropped,
	}
	if s.progress != 0 {
		st.LastAck = s.all.epoch.Add(s.progress)
	}
	for _, d := range s.out.ready {
		if d.count > 0 {
			st.HeldUp = append(st.HeldUp, Held{To: d.url, Messages: d.count, Bytes: d.cost, Posters: len(d.waiters)})
		}
	}
	s.held.mu.Lock()
	for key, q := range s.held.by {
		st.Held = append(st.Held, Held{To: key.url, Messages: int(q.all.Load()), Bytes: int(q.cost.Load())})
	}
	s.held.mu.Unlock()
	for _, list := range []*[]Held{&st.HeldUp, &st.Held} {
		slices.SortFunc(*list, func(a, b Held) int {
			return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.To, b.To))
		})
		*list = (*list)[:min(len(*list), maxHeldUp)]
	}
	return st
}
