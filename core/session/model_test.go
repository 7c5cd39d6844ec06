package session

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

var (
	seeds   = flag.Int("seeds", 1500, "how many seeds the model test runs")
	oneSeed = flag.Uint64("seed", 0, "run the model test with this seed only")
)

// TestModel lets two runtimes talk over a network that loses, doubles, delays, cuts and damages frames and lets them
// overtake one another between two paths, while paths die, silently or not, and runtimes are killed and start again. The
// handshakes and seals are real, and the network also does on purpose what it can: see hostile_test.go.
func TestModel(t *testing.T) {
	first, last := uint64(1), uint64(*seeds)
	if testing.Short() {
		last = min(last, 200)
	}
	if *oneSeed != 0 {
		first, last = *oneSeed, *oneSeed
	}
	var all tally
	for seed := first; seed <= last && !t.Failed(); seed++ {
		synctest.Test(t, func(t *testing.T) {
			m := newModel(t, seed)
			m.run()
			all.add(m)
		})
	}
	t.Logf("%+v", all)
	if last-first >= 100 && (all.delivered < 1000 || all.inDoubt == 0 || all.expired == 0 || all.neverSent == 0 || all.rewinds == 0) {
		t.Errorf("the model tries too little: %+v", all)
	}
}

// tally is what all seeds together have tried.
type tally struct {
	posted, refused, delivered, inDoubt, expired, neverSent int
	rewinds                                                 uint64
}

func (a *tally) add(m *model) {
	for _, rec := range m.ledger {
		switch {
		case !rec.posted:
			a.refused++
			continue
		case rec.told != nil && !rec.told.MayHaveArrived:
			a.neverSent++
		case rec.told != nil && rec.told.Kind == Expired:
			a.expired++
		case rec.told != nil:
			a.inDoubt++
		}
		a.posted++
		a.delivered += len(rec.delivered)
	}
	for _, sd := range m.sides {
		for _, st := range sd.s.Snapshot() {
			a.rewinds += st.Rewinds
		}
	}
}

// model is the network, both runtimes in all their lives, and what is known of every message.
type model struct {
	t     *testing.T
	seed  uint64
	rules rules

	mu    sync.Mutex
	r     *rand.Rand
	sides [2]*side
	links map[Path]*link
	foe   foe
	lost  bool // no more faults: the end

	ledger map[uint64]*record
}

// rules are what a seed decides once.
type rules struct {
	loss, double, damage float64
	hostile              float64 // how often a frame makes the network do something on purpose
	restarts, slow       bool
	ttl                  time.Duration
	ring, inbox          int
	keyFrames            int
}

// record is what is known of one message.
type record struct {
	from      int
	life      uint64 // of the sender
	posted    bool
	size      int      // of its text
	delivered []uint64 // lives of the receiver
	told      *Event   // that it was given up
}

type side struct {
	me   int
	url  message.URL
	key  Key
	s    *Sessions
	last map[[2]uint64]uint64 // the last number delivered, by lives of sender and receiver
	stop context.CancelFunc
	done sync.WaitGroup
	n    uint64
}

type link struct {
	down, hole bool
	delay      time.Duration
	last       [2]time.Time // when the last frame of a direction arrives: a path keeps the order
	queued     [2]int
}

func newModel(t *testing.T, seed uint64) *model {
	r := rand.New(rand.NewPCG(seed, 7))
	pick := func(of ...float64) float64 { return of[r.IntN(len(of))] }
	m := &model{t: t, seed: seed, r: r, ledger: make(map[uint64]*record), links: map[Path]*link{
		relay:  {delay: time.Duration(r.IntN(80)) * time.Millisecond},
		direct: {delay: time.Duration(r.IntN(20)) * time.Millisecond},
	}}
	m.rules = rules{
		loss: pick(0, 0, 0.01, 0.05, 0.2), double: pick(0, 0.02, 0.2), damage: pick(0, 0.02, 0.1), hostile: pick(0, 0, 0.02, 0.3),
		restarts: r.IntN(2) == 0, ring: 1 << (11 + r.IntN(12)), inbox: 1 << (11 + r.IntN(12)),
		ttl: []time.Duration{400 * time.Millisecond, 3 * time.Second, 60 * time.Second}[r.IntN(3)],
	}
	m.rules.keyFrames = []int{2, 20, 1 << 20}[r.IntN(3)]
	m.rules.slow = !m.rules.restarts && r.IntN(3) == 0
	for i, who := range []person{aliceSelf, bobSelf} {
		m.sides[i] = &side{me: i, url: who.url, key: who.key, last: make(map[[2]uint64]uint64), n: uint64(i) << 32}
	}
	return m
}

func (m *model) chance(p float64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.lost && m.r.Float64() < p
}

func (m *model) intn(n int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.r.IntN(n)
}

func (m *model) run() {
	defer func() {
		if m.t.Failed() {
			m.t.Logf("seed %d, %+v", m.seed, m.rules)
		}
	}()
	for i := range m.sides {
		m.start(i)
	}
	for range 20 + m.intn(60) {
		time.Sleep(time.Duration(m.intn(200)) * time.Millisecond)
		m.fault()
	}
	m.mu.Lock()
	m.lost = true
	for _, l := range m.links {
		l.down, l.hole = false, false
	}
	m.mu.Unlock()
	for _, sd := range m.sides {
		sd.stop()
		sd.done.Wait()
	}
	m.settle()
	for i := range m.sides {
		m.kill(i)
	}
	time.Sleep(time.Minute) // what is still under way arrives nowhere
	m.judge()
}

// fault does one thing to the network or a runtime.
func (m *model) fault() {
	path, other := relay, direct
	if m.intn(2) == 0 {
		path, other = direct, relay
	}
	switch n := m.intn(100); {
	case n < 15:
		m.mu.Lock()
		l := m.links[path]
		l.down = !l.down
		down := l.down
		m.mu.Unlock()
		for _, sd := range m.sides {
			if down {
				sd.s.PathDown(path)
			} else if m.chance(0.7) {
				sd.s.UsePath(m.sides[1-sd.me].url, path)
			}
		}
	case n < 22:
		m.mu.Lock()
		m.links[path].hole = !m.links[path].hole
		m.mu.Unlock()
	case n < 40:
		sd := m.sides[m.intn(2)]
		sd.s.UsePath(m.sides[1-sd.me].url, other)
	case n < 50 && m.rules.restarts:
		i := m.intn(2)
		m.sides[i].stop()
		m.sides[i].done.Wait()
		synctest.Wait() // what is in the inbox is delivered: a kill loses nothing that was acknowledged here
		m.kill(i)
		if m.chance(0.5) {
			time.Sleep(time.Duration(m.intn(1500)) * time.Millisecond)
		}
		m.start(i)
	}
}

// settle waits until everything that was posted is acknowledged or given up.
func (m *model) settle() {
	for range 400 {
		time.Sleep(200 * time.Millisecond)
		if m.unacked() == 0 {
			time.Sleep(time.Second)
			return
		}
	}
	for _, sd := range m.sides {
		m.t.Errorf("%s does not get rid of its messages: %+v", sd.url, sd.s.Snapshot())
	}
}

func (m *model) unacked() (n int) {
	for _, sd := range m.sides {
		for _, st := range sd.s.Snapshot() {
			n += st.Unacked + st.InboxBytes
		}
	}
	return n
}

func (m *model) start(i int) {
	sd := m.sides[i]
	s := New(Options{
		Self: sd.url, Key: sd.key, KeyFrames: m.rules.keyFrames, RingBytes: m.rules.ring, InboxBytes: m.rules.inbox, TTL: m.rules.ttl, FrameBytes: 1 << (6 + m.intn(8)),
		Send: func(ctx context.Context, path Path, _ message.URL, frames ...[]byte) error {
			return m.send(ctx, i, path, frames)
		},
		Deliver: func(_ context.Context, _ message.URL, msg message.Message) { m.deliver(sd, msg) },
		Route:   func(message.URL) (Path, bool) { return m.route() },
		Events: func(e Event) {
			m.mu.Lock()
			defer m.mu.Unlock()
			for _, id := range e.IDs {
				var n uint64
				fmt.Sscan(id.String(), &n)
				rec := m.ledger[n]
				if rec.told != nil {
					m.t.Errorf("%d given up twice: %+v, %+v", n, *rec.told, e)
				}
				rec.told = &e
			}
		},
	})
	m.mu.Lock()
	sd.s = s
	m.mu.Unlock()
	ctx, cancel := context.WithCancel(m.t.Context())
	sd.stop = cancel
	sd.done.Go(func() { m.talk(ctx, sd, s) })
}

// kill ends a life; nothing is waited for.
func (m *model) kill(i int) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	m.sides[i].s.Close(ctx)
}

// talk posts messages until ctx ends.
func (m *model) talk(ctx context.Context, sd *side, s *Sessions) {
	for ctx.Err() == nil {
		for range m.intn(30) {
			sd.n++
			n := sd.n
			var path Path
			switch m.intn(20) {
			case 0:
				path = relay
			case 1:
				path = direct
			}
			m.mu.Lock()
			size := 20
			if m.r.IntN(20) == 0 {
				size = m.r.IntN(9000)
			}
			rec := &record{from: sd.me, life: s.Incarnation(), size: size}
			m.ledger[n] = rec
			m.mu.Unlock()
			wait, cancel := context.WithTimeout(ctx, time.Duration(m.intn(2000))*time.Millisecond)
			err := s.Post(wait, m.sides[1-sd.me].url, path, letter(n, size))
			cancel()
			if err != nil && !errors.Is(err, ErrBackpressure) {
				m.t.Errorf("post: %v", err)
			}
			m.mu.Lock()
			rec.posted = err == nil
			m.mu.Unlock()
		}
		select {
		case <-time.After(time.Duration(m.intn(300)) * time.Millisecond):
		case <-ctx.Done():
		}
	}
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
		f = append([]byte(nil), f...)
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
			later := time.Duration(m.intn(6000)) * time.Millisecond
			again := append([]byte(nil), f...)
			time.AfterFunc(later, func() { m.receive(1-i, path, again) })
		}
		if m.chance(m.rules.loss) {
			continue
		}
		m.carry(i, path, f)
	}
	return nil
}

func (m *model) carry(i int, path Path, f []byte) {
	m.mu.Lock()
	l := m.links[path]
	if l.hole {
		m.mu.Unlock()
		return
	}
	at := time.Now().Add(l.delay + time.Duration(m.r.IntN(3))*time.Millisecond)
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

// deliver checks what must hold at every delivery.
func (m *model) deliver(sd *side, msg message.Message) {
	if m.rules.slow {
		time.Sleep(time.Duration(m.intn(10)) * time.Millisecond)
	}
	n := number(msg)
	m.mu.Lock()
	defer m.mu.Unlock()
	rec := m.ledger[n]
	if rec == nil || rec.from == sd.me {
		m.t.Errorf("%d was never posted to %s", n, sd.url)
		return
	}
	if want := letter(n, rec.size); !reflect.DeepEqual(msg, want) {
		m.t.Errorf("%d delivered altered: %+v, want %+v", n, msg, want)
	}
	lives := [2]uint64{rec.life, sd.s.Incarnation()}
	if len(rec.delivered) > 0 {
		m.t.Errorf("%d delivered twice, to %x after %x", n, lives[1], rec.delivered)
	}
	rec.delivered = append(rec.delivered, lives[1])
	if n <= sd.last[lives] {
		m.t.Errorf("%d delivered after %d", n, sd.last[lives])
	}
	sd.last[lives] = n
}

// judge checks what must hold in the end: every message has arrived or was given up aloud, and what was said of it is true.
func (m *model) judge() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for n, rec := range m.ledger {
		switch arrived := len(rec.delivered) > 0; {
		case !rec.posted && arrived:
			m.t.Errorf("%d arrived though it was refused", n)
		case rec.posted && !arrived && rec.told == nil:
			m.t.Errorf("%d was lost without a word", n)
		case arrived && rec.told != nil && !rec.told.MayHaveArrived:
			m.t.Errorf("%d arrived though it was said that it cannot have: %+v", n, *rec.told)
		}
	}
}
