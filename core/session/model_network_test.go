package session

import (
	"context"
	"errors"
	"time"
)

// link is a path of the model's network.
type link struct {
	down, hole bool
	delay      time.Duration
	last       [2]time.Time // when the last frame of a direction arrives: a path keeps the order
	queued     [2]int
}

func (m *model) route() (Path, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range []Path{direct, relay} {
		if l := m.links[p]; !l.down && !(l.hole && m.r.IntN(3) > 0) {
			return p, true
		}
	}
	return Path{}, false
}

// send carries frames from side i. A path takes 32 frames before it blocks.
func (m *model) send(ctx context.Context, i int, path Path, frames [][]byte) error {
	for _, f := range frames {
		if path == stray {
			return errors.New("nobody is there")
		}
		for {
			m.mu.Lock()
			l := m.links[path]
			down, full := l.down, l.queued[i] >= 32
			m.mu.Unlock()
			if down {
				return errors.New("path is down")
			}
			if !full {
				break
			}
			select {
			case <-time.After(5 * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		m.put(i, path, f)
	}
	return nil
}

// try is send for a single frame, without waiting.
func (m *model) try(i int, path Path, f []byte) bool {
	if path == stray {
		return false
	}
	m.mu.Lock()
	l := m.links[path]
	wait := l.down || l.queued[i] >= 32 || m.r.Float64() >= m.rules.inline
	if wait {
		m.tried[1]++
	} else {
		m.tried[0]++
	}
	m.mu.Unlock()
	if wait {
		return false
	}
	m.put(i, path, f)
	return true
}

// put puts a frame on a path.
func (m *model) put(i int, path Path, f []byte) {
	f = append([]byte(nil), f...)
	m.strange(i, path, f)
	if m.chance(m.rules.hostile) {
		m.attack(i, path, f)
	}
	if m.chance(m.rules.damage) {
		if m.chance(0.5) {
			f = f[:m.intn(len(f))]
		} else {
			f[m.intn(len(f))] ^= byte(1 + m.intn(255))
		}
	}
	if m.chance(m.rules.double) { // a relay may keep a frame for long
		later := time.Duration(1+m.intn(6000)) * time.Millisecond
		again := append([]byte(nil), f...)
		time.AfterFunc(later, func() { m.receive(1-i, path, again) })
	}
	if m.chance(m.rules.loss) {
		return
	}
	m.carry(i, path, f)
}

func (m *model) carry(i int, path Path, f []byte) {
	m.mu.Lock()
	l := m.links[path]
	if l.hole {
		m.mu.Unlock()
		return
	}
	// Never at once: a timer that has expired when it is made crashes the race detector in a bubble (Go 1.26).
	at := time.Now().Add(max(l.delay+time.Duration(m.r.IntN(3))*time.Millisecond, time.Microsecond))
	if !at.After(l.last[i]) {
		at = l.last[i].Add(time.Microsecond)
	}
	l.last[i] = at
	l.queued[i]++
	m.mu.Unlock()
	time.AfterFunc(time.Until(at), func() {
		m.mu.Lock()
		l.queued[i]--
		gone := l.down
		m.mu.Unlock()
		if !gone {
			m.receive(1-i, path, f)
		}
	})
}

func (m *model) receive(i int, path Path, f []byte) {
	m.mu.Lock()
	s := m.sides[i].s
	m.mu.Unlock()
	if s == nil { // it has not begun its first life
		return
	}
	s.Receive(m.t.Context(), m.sides[1-i].url, path, f)
}
