package outbox

import "sync/atomic"

// Memory counts the bytes that the node keeps for its connections: what waits to be written, and what it remembers of their
// peers. A packet for several connections is kept, and counted, once.
type Memory struct {
	Limit int64 // bytes that may be kept in all; 0: any number
	used  atomic.Int64
}

// Packet is what waits for one connection. Its bytes are never written to.
type Packet struct {
	Data   []byte
	shared *shared // nil: it waits for this connection only
}

// shared counts the connections that a packet waits for.
type shared struct{ left atomic.Int32 }

// Share makes a packet for several connections; each of them releases it.
func (m *Memory) Share(data []byte, count int) Packet {
	p := Packet{data, &shared{}}
	p.shared.left.Store(int32(count))
	m.used.Add(int64(len(data)))
	return p
}

// Keep counts a packet that waits for one connection.
func (m *Memory) Keep(p Packet) {
	if p.shared == nil {
		m.used.Add(int64(len(p.Data)))
	}
}

// Release is called once for each connection that a packet waited for.
func (m *Memory) Release(list ...Packet) {
	var bytes int64
	for _, p := range list {
		if p.shared == nil || p.shared.left.Add(-1) == 0 {
			bytes += int64(len(p.Data))
		}
	}
	m.used.Add(-bytes)
}

// Add counts n bytes more, or fewer, that are kept in other things than packets.
func (m *Memory) Add(n int64) { m.used.Add(n) }

// Kept is how many bytes are kept now.
func (m *Memory) Kept() int64 { return m.used.Load() }

// Over tells whether more is kept than may be.
func (m *Memory) Over() bool { return m.Limit > 0 && m.used.Load() > m.Limit }

// packetSize is what a packet counts for besides its bytes.
const packetSize = 128

// Size is what a packet counts for.
func (p *Packet) Size() int64 { return int64(len(p.Data)) + packetSize }
