package session

import (
	"context"
	"flag"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/sdk/message"
)

var (
	seeds   = flag.Int("seeds", 0, "how many seeds the model test runs; 0: a few hundred, and with the long tests more")
	oneSeed = flag.Uint64("seed", 0, "run the model test with this seed only")
)

// TestModel lets two runtimes talk over a network that loses, doubles, delays, cuts and damages frames and lets them
// overtake one another between two paths, while paths die, silently or not, and runtimes are killed and start again. The
// handshakes and seals are real, and the network also does on purpose what it can: see hostile_test.go.
func TestModel(t *testing.T) {
	last := uint64(quickSeeds)
	switch {
	case *oneSeed != 0:
		runModel(t, *oneSeed, *oneSeed)
		return
	case *seeds != 0:
		last = uint64(*seeds)
	}
	runModel(t, 1, last)
}

// quickSeeds are those of TestModel, and TestLongModel goes on behind them.
const quickSeeds, longSeeds = 200, 2000

func TestLongModel(t *testing.T) {
	longtest.Skip(t)
	runModel(t, quickSeeds+1, longSeeds)
}

// runModel runs the seeds from first to last.
func runModel(t *testing.T, first, last uint64) {
	var all tally
	for seed := first; seed <= last && !t.Failed(); seed++ {
		synctest.Test(t, func(t *testing.T) {
			m := newModel(t, seed)
			m.run()
			all.add(m)
		})
	}
	t.Logf("%+v", all)
	if last-first >= 100 && (all.delivered < 1000 || all.inDoubt == 0 || all.expired == 0 || all.neverSent == 0 || all.rewinds == 0 || all.claimed == 0 || all.failed == 0 || all.idle == 0 || all.renewed == 0 || all.inline == 0 || all.notInline == 0) {
		t.Errorf("the model tries too little: %+v", all)
	}
}

// tally is what all seeds together have tried.
type tally struct {
	posted, refused, delivered, claimed, failed, inDoubt, expired, neverSent int
	inline, notInline                                                        int // frames that posters sent, or could not send, themselves
	idle, renewed                                                            int // sessions that were dropped, and that the other side went on with
	rewinds                                                                  uint64
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
		if rec.settled != nil && rec.failed {
			a.failed++
		} else if rec.settled != nil {
			a.claimed++
		}
	}
	a.idle += m.crowd.told[Idle]
	a.renewed += m.crowd.told[Renewed]
	a.inline += m.tried[0]
	a.notInline += m.tried[1]
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
	crowd crowd
	lost  bool          // no more faults: the end
	free  chan struct{} // closed then: the applications hurry

	ledger   map[uint64]*fate
	refusals int    // that Options.Refuse was told of
	tried    [2]int // frames that paths took at once, and did not
}

// rules are what a seed decides once.
type rules struct {
	loss, double, damage float64
	hostile              float64 // how often a frame makes the network do something on purpose
	restarts             bool
	paces                [destinations]time.Duration // of the applications
	vanish               float64                     // how often an application goes away before it takes a message
	ttl                  time.Duration
	ring, inbox          int
	keyFrames            int
	announces            bool    // addresses are announced
	rejections           bool    // a side tells its senders itself of what the other one refuses
	inline               float64 // how often a path takes a frame at once; negative: it cannot be asked to
}

type side struct {
	me   int
	url  message.URL
	key  handshake.Key
	s    *Sessions
	apps *apps
	last map[order]uint64 // the last number that came
	stop context.CancelFunc
	done sync.WaitGroup
	n    uint64
}

// order is what is in order: what one life of the sender sends one destination in one life of the receiver.
type order struct {
	sender, receiver uint64
	to               int
}

func newModel(t *testing.T, seed uint64) *model {
	r := rand.New(rand.NewPCG(seed, 7))
	pick := func(of ...float64) float64 { return of[r.IntN(len(of))] }
	m := &model{t: t, seed: seed, r: r, free: make(chan struct{}), ledger: make(map[uint64]*fate), links: map[Path]*link{
		relay:  {delay: time.Duration(r.IntN(80)) * time.Millisecond},
		direct: {delay: time.Duration(r.IntN(20)) * time.Millisecond},
	}}
	m.crowd = newCrowd(seed)
	m.rules = rules{
		loss: pick(0, 0, 0.01, 0.05, 0.2), double: pick(0, 0.02, 0.2), damage: pick(0, 0.02, 0.1), hostile: pick(0, 0, 0.02, 0.3),
		restarts: r.IntN(2) == 0, ring: 1 << (11 + r.IntN(12)), inbox: 1 << (11 + r.IntN(12)),
		ttl: []time.Duration{400 * time.Millisecond, 3 * time.Second, 60 * time.Second}[r.IntN(3)],
	}
	m.rules.keyFrames = []int{2, 20, 1 << 20}[r.IntN(3)]
	for i := range m.rules.paces {
		m.rules.paces[i] = []time.Duration{0, 0, 0, 10 * time.Millisecond, 300 * time.Millisecond, time.Hour}[r.IntN(6)]
	}
	m.rules.vanish = pick(0, 0, 0.1)
	m.rules.inline = pick(-1, 0.5, 0.9, 1)
	m.rules.announces = r.IntN(2) == 0
	m.rules.rejections = r.IntN(2) == 0
	for i, who := range []person{aliceSelf, bobSelf} {
		m.sides[i] = &side{me: i, url: who.url, key: who.key, last: make(map[order]uint64), n: uint64(i) << 32}
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
		m.silence()
		m.hushed(nil)
		m.fault()
	}
	m.mu.Lock()
	m.lost = true
	close(m.free)
	for _, l := range m.links {
		l.down, l.hole = false, false
	}
	m.mu.Unlock()
	for _, sd := range m.sides {
		sd.stop()
		sd.done.Wait()
	}
	m.settle()
	m.alone()
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
		m.kill(i)
		if m.chance(0.5) {
			time.Sleep(time.Duration(m.intn(1500)) * time.Millisecond)
		}
		m.start(i)
	}
}

// settle waits until everything that was posted is taken or given up.
func (m *model) settle() {
	for range 400 {
		time.Sleep(200 * time.Millisecond)
		if m.unacked() == 0 {
			m.balanced()
			time.Sleep(time.Second)
			return
		}
	}
	for _, sd := range m.sides {
		m.t.Errorf("%s does not get rid of its messages: %+v", sd.url, sd.s.Snapshot())
	}
}

// balanced checks that what was counted of messages that came was given back when they were taken, in whatever session.
func (m *model) balanced() {
	for _, sd := range m.sides {
		if n := sd.s.memory.Waiting(); n != 0 {
			m.t.Errorf("%s counts %d bytes of messages that wait, and none does", sd.url, n)
		}
	}
}

func (m *model) unacked() (n int) {
	for _, sd := range m.sides {
		for _, st := range sd.s.Snapshot() {
			n += st.Unacked + st.Outstanding + st.InboxBytes
		}
	}
	return n
}

func (m *model) start(i int) {
	sd := m.sides[i]
	a := newApps(m, sd)
	o := Options{
		Self: sd.url, Key: sd.key, Keys: KeyLimits{Frames: m.rules.keyFrames}, RingBytes: m.rules.ring, InboxBytes: m.rules.inbox, TTL: m.rules.ttl, FrameBytes: 1 << (6 + m.intn(8)),
		IdleTimeout: m.crowd.idle[i], Linger: m.linger(i),
		Send: func(ctx context.Context, path Path, remote message.URL, frames ...[]byte) error {
			if remote != m.sides[1-i].url {
				return nil // nobody is there
			}
			return m.send(ctx, i, path, frames)
		},
		Acceptor: a, Events: m.event,
		Refuse: func(_ message.URL, msg message.Message, _ error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.refusals++
			m.ledger[number(msg)].answered = true
		},
		Rejections: m.rules.rejections,
		Route:      func(message.URL) (Path, bool) { return m.route() },
	}
	if m.rules.inline >= 0 {
		o.TrySend = func(path Path, _ message.URL, frame []byte) bool { return m.try(i, path, frame) }
	}
	if m.rules.announces {
		o.Claims.Announced = func(context.Context, message.URL, []message.URL) {}
	}
	s := New(o)
	a.life = s.Incarnation()
	m.mu.Lock()
	sd.s, sd.apps = s, a
	m.mu.Unlock()
	ctx, cancel := context.WithCancel(m.t.Context())
	sd.stop = cancel
	for third := range 3 {
		sd.done.Go(func() { m.talk(ctx, sd, s, third) })
	}
}

// kill ends a life; nothing is waited for.
func (m *model) kill(i int) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	a := m.sides[i].apps
	a.mu.Lock()
	a.end() // no more work begins: see deliver
	a.mu.Unlock()
	a.work.Wait()
	m.sides[i].s.Close(ctx)
	if n := m.sides[i].s.memory.Sending(); n != 0 {
		m.t.Errorf("%s counts %d bytes of messages to others after its end", m.sides[i].url, n)
	}
}
