package session

import (
	"sync"
	"sync/atomic"
)

// memory counts what the messages of all sessions take, in each direction.
type memory struct {
	most    int64        // in each direction
	sending atomic.Int64 // cost of all rings
	waiting atomic.Int64 // cost of all inboxes

	starvedMu sync.Mutex
	starved   map[chan struct{}]struct{} // what wakes the sessions with posters that wait for sending to shrink
	hungry    atomic.Int32               // len(starved)
}

// fits tells whether what waits to be acknowledged may be more by cost. A single message always may.
func (m *memory) fits(cost int) bool {
	used := m.sending.Load()
	return used == 0 || used+int64(cost) <= m.most
}

// sent adds what entered a ring.
func (m *memory) sent(cost int) { m.sending.Add(int64(cost)) }

// freed takes off what has left a ring, and wakes the posters that wait for it.
func (m *memory) freed(cost int) {
	m.sending.Add(-int64(cost))
	if m.hungry.Load() == 0 {
		return
	}
	m.starvedMu.Lock()
	defer m.starvedMu.Unlock()
	for space := range m.starved {
		notify(space)
	}
}

// starve notes whether somebody who is woken by space waits for sending to shrink.
func (m *memory) starve(space chan struct{}, on bool) {
	m.starvedMu.Lock()
	defer m.starvedMu.Unlock()
	if m.starved == nil {
		m.starved = make(map[chan struct{}]struct{})
	}
	if on {
		m.starved[space] = struct{}{}
	} else {
		delete(m.starved, space)
	}
	m.hungry.Store(int32(len(m.starved)))
}

// full tells whether what waits for listeners is as much as may wait in all.
func (m *memory) full() bool { return m.waiting.Load() >= m.most }

// came adds what entered an inbox; less than 0: it has left.
func (m *memory) came(cost int) { m.waiting.Add(int64(cost)) }

// notify wakes whoever waits on c, or will next.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
