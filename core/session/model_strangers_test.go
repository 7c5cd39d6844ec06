package session

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// crowd is what strangers do in the model, and how long both sides are silent: with random numbers of its own, so that a
// seed means of everything else what it always has.
type crowd struct {
	r     *rand.Rand
	noise float64           // how often a frame has a stranger send something
	idle  [2]time.Duration  // Options.IdleTimeout of each side
	hush  time.Time         // nothing is posted before
	pause float64           // how often there is a silence
	saved [][]byte          // frames of anybody
	told  map[EventKind]int // what sessions said
	names []message.URL     // invented ones, and a runtime that is not in this network
}

// stray is a path by which nobody is reached: that of another Message Node.
var stray = Path{Door: "hyperty-runtime://a.example/alice/protostub/other", Stub: "hyperty-runtime://a.example/alice/protostub/other"}

func newCrowd(seed uint64) crowd {
	r := rand.New(rand.NewPCG(seed, 8))
	c := crowd{r: r, told: make(map[EventKind]int)}
	c.noise = []float64{0, 0.02, 0.3}[r.IntN(3)]
	c.pause = []float64{0, 0.05, 0.2}[r.IntN(3)]
	for i := range c.idle {
		c.idle[i] = []time.Duration{-1, time.Second, 2 * time.Second, 5 * time.Second}[r.IntN(4)]
	}
	c.names = []message.URL{someone("c.example", 3).url, "hyperty-runtime://0.example/nobody", "hyperty-runtime://z.example/nobody"}
	return c
}

// strange is called with a frame that side i sends by path: somebody sends something, to either side, by any path.
func (m *model) strange(i int, path Path, f []byte) {
	m.mu.Lock()
	c := &m.crowd
	if m.lost || c.r.Float64() >= c.noise {
		m.mu.Unlock()
		return
	}
	if len(c.saved) < maxHeard {
		c.saved = append(c.saved, append([]byte(nil), f...))
	} else {
		c.saved[c.r.IntN(maxHeard)] = append([]byte(nil), f...)
	}
	to := c.r.IntN(2)
	by := []Path{relay, direct, stray}[c.r.IntN(3)]
	name := m.sides[1-to].url
	frame := append([]byte(nil), c.saved[c.r.IntN(len(c.saved))]...)
	invented := func(step byte, size int) []byte {
		h := wire.Head{Kind: wire.Hello, From: c.r.Uint64() | 1}
		if c.r.IntN(2) == 0 && len(frame) >= wire.HeadSize {
			h, _ = wire.ParseHead(frame)
			h.Kind = wire.Hello
		}
		b := append(wire.AppendHead(nil, h), step)
		for range size {
			b = append(b, byte(c.r.Uint32()))
		}
		return b
	}
	switch c.r.IntN(10) {
	case 0: // a frame of one of the two, by another path
	case 1: // … in the name of somebody else
		name = c.names[c.r.IntN(len(c.names))]
	case 2: // one byte, of nobody
		name, frame = m.nobody(), []byte{byte(c.r.Uint32())}
	case 3:
		name, frame = m.nobody(), invented(handshake.StepAsk, 0)
	case 4:
		name, frame = m.nobody(), invented(handshake.StepFirst, handshake.FirstSize)
	case 5:
		name, frame = m.nobody(), invented(byte(c.r.IntN(8)), c.r.IntN(400))
	case 6: // in a peer's name
		frame = invented(handshake.StepAsk, 0)
	case 7:
		frame = invented(handshake.StepFirst, handshake.FirstSize)
	case 8: // a cookie that nobody has asked for
		frame = invented(handshake.StepCookie, handshake.CookieSize)
	case 9:
		frame = invented(byte(c.r.IntN(8)), c.r.IntN(400))
	}
	wait := time.Duration(1+c.r.IntN(5000)) * time.Millisecond
	m.mu.Unlock()
	time.AfterFunc(wait, func() {
		m.mu.Lock()
		s := m.sides[to].s
		m.mu.Unlock()
		if s != nil {
			s.Receive(m.t.Context(), name, by, frame)
		}
	})
}

// nobody is a runtime that does not exist. m.mu is held.
func (m *model) nobody() message.URL {
	return message.URL(fmt.Sprintf("hyperty-runtime://%c.example/%d", "0z"[m.crowd.r.IntN(2)], m.crowd.r.IntN(1000)))
}

// silence has both sides say nothing for a while, now and then.
func (m *model) silence() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.crowd.r.Float64() < m.crowd.pause {
		m.crowd.hush = time.Now().Add(time.Duration(m.crowd.r.IntN(20_000)) * time.Millisecond)
	}
}

// hushed waits until there is no silence.
func (m *model) hushed(done <-chan struct{}) {
	m.mu.Lock()
	wait := time.Until(m.crowd.hush)
	lost := m.lost
	m.mu.Unlock()
	if wait <= 0 || lost {
		return
	}
	select {
	case <-time.After(wait):
	case <-m.free:
	case <-done:
	}
}

// alone checks that nobody but the two has a session, and that little is kept of the others.
func (m *model) alone() {
	for i, sd := range m.sides {
		for _, st := range sd.s.Snapshot() {
			if st.Remote != m.sides[1-i].url {
				m.t.Errorf("%s has a session with %s", sd.url, st.Remote)
			}
		}
		if err := sd.s.strangers.Check(); err != nil {
			m.t.Errorf("%s: %v", sd.url, err)
		}
	}
	m.mu.Lock()
	resets := m.crowd.told[Reset]
	m.mu.Unlock()
	if !m.rules.restarts && resets > 0 {
		m.t.Errorf("nobody has restarted, and %d times it was said", resets)
	}
}

// linger is Options.Linger of side i: a session that is to be dropped soon rests soon.
func (m *model) linger(i int) time.Duration {
	if m.crowd.idle[i] > 0 {
		return 200 * time.Millisecond
	}
	return 0
}
