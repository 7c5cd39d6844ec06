package session

import (
	"time"

	"github.com/protofly/protofly/core/session/internal/receiver"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// host is what the parts with a lock of their own may ask of a session. Nobody holds a lock then.
type host struct{ s *session }

// Refused tells that the peer has sent something that is no message.
func (h host) Refused(why error) {
	h.s.with(func(m *machine, _ time.Duration) {
		m.event(Event{Kind: Refused, Path: m.paths.Used(), Why: why.Error()})
	})
}

// Claimed passes on what the peer has claimed.
func (h host) Claimed() {
	var list []wire.Claim
	h.s.with(func(m *machine, _ time.Duration) { list = m.recv.TakeClaims() })
	claimed(h.s.all.life.Context(), h.s.o, h.s.remote, list)
	h.s.with((*machine).claimsTaken)
}

// Batches are those that wait for the goroutine that delivers.
func (h host) Batches(room []receiver.Batch, idle bool) (list []receiver.Batch, end bool) {
	h.s.with(func(m *machine, _ time.Duration) { list, end = m.batches(room, idle) })
	return list, end
}

// Go runs f in a goroutine that Close waits for. It is called by somebody whom Close waits for as well.
func (h host) Go(f func()) {
	h.s.all.life.Join()
	go func() {
		defer h.s.all.life.Done()
		f()
	}()
}

// Owes has the session look at what listeners have settled.
func (h host) Owes(much bool) {
	h.s.with(func(m *machine, now time.Duration) { m.owes(much, now) })
}

// SettledLate takes a message of an incarnation that is gone off what waits here.
func (h host) SettledLate(cost int) {
	h.s.with(func(m *machine, _ time.Duration) { m.taken(cost) })
}

// Refuse has the sender of m told why nobody takes it.
func (h host) Refuse(m message.Message, why error) { h.s.o.Refuse(h.s.remote, m, why) }
