package session

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/protofly/protofly/core/session/internal/deliver"
	"github.com/protofly/protofly/sdk/message"
)

// maxHeldUp is how many destinations a State names.
const maxHeldUp = 16

// state is the session's State, where out delivers.
func (m *machine) state(out *deliver.Deliverer, epoch time.Time) State {
	st := State{
		Remote: m.remote, Incarnation: m.pair.Peer(), Path: m.paths.Used(),
		Unacked: m.send.Unacked(), Outstanding: m.send.Outstanding(), InboxBytes: m.recv.Cost(),
		Relayed: m.count.posted[0], Direct: m.count.posted[1], Received: out.Received(),
		Resets: m.count.resets, Dropped: m.count.dropped,
	}
	st.Generation, st.Rewinds, st.RingBytes = m.send.Stats()
	if at := m.paths.LastProgress(); at != 0 {
		st.LastAck = epoch.Add(at)
	}
	m.send.HeldUp(func(to message.URL, messages, bytes, posters int) {
		st.HeldUp = append(st.HeldUp, Held{To: to, Messages: messages, Bytes: bytes, Posters: posters})
	})
	out.Behind(func(to message.URL, messages, bytes int) {
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
