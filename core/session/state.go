package session

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/protofly/protofly/sdk/message"
)

// maxHeldUp is how many destinations a State names.
const maxHeldUp = 16

// state is the session's State.
func (s *session) state() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := State{
		Remote: s.remote, Incarnation: s.pair.Peer(), Path: s.paths.Used(),
		Unacked: s.send.Unacked(), Outstanding: s.send.Outstanding(), InboxBytes: s.recv.Cost(),
		Relayed: s.count.posted[0], Direct: s.count.posted[1], Received: s.out.Received(),
		Resets: s.count.resets, Dropped: s.count.dropped,
	}
	st.Generation, st.Rewinds, st.RingBytes = s.send.Stats()
	if at := s.paths.LastProgress(); at != 0 {
		st.LastAck = s.all.epoch.Add(at)
	}
	s.send.HeldUp(func(to message.URL, messages, bytes, posters int) {
		st.HeldUp = append(st.HeldUp, Held{To: to, Messages: messages, Bytes: bytes, Posters: posters})
	})
	s.out.Behind(func(to message.URL, messages, bytes int) {
		st.Held = append(st.Held, Held{To: to, Messages: messages, Bytes: bytes})
	})
	for _, list := range []*[]Held{&st.HeldUp, &st.Held} {
		slices.SortFunc(*list, func(a, b Held) int {
			return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.To, b.To))
		})
		*list = (*list)[:min(len(*list), maxHeldUp)]
	}
	return st
}

// FrameName names a frame in traces: the same wherever it is seen, sealed or not.
func FrameName(frame []byte) string {
	sum := sha256.Sum256(frame)
	return hex.EncodeToString(sum[:8])
}
