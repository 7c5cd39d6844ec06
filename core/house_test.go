package core

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/doors"
	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/internal/networks"
	"github.com/protofly/protofly/internal/work"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// house is a runtime without processes: no plug-ins and no Message Node. Its bus answers as the node's functions would,
// its one Handler is a listener, and its sessions' frames go to the other house as they are.
type house struct {
	*Runtime
	tb      testing.TB
	handler message.URL
	other   *house
	frames  chan frame
	free    chan []byte
	gate    sync.RWMutex                 // locked: no frame gets out
	carried atomic.Pointer[session.Path] // the last frame's
	changed chan struct{}                // gets a token when the way to the other one changes
	ways    *countedWays                 // nil: not counted
}

type frame struct {
	path session.Path
	text []byte
}

// newHouses are two houses with a session between them, and a function that ends both. Hyperties of one are known to the
// other while both are connected.
func newHouses(tb testing.TB) (x, y *house) { return newNeighbours(tb, false) }

// newNeighbours is newHouses; counted: they count the messages that leave by a remembered way.
func newNeighbours(tb testing.TB, counted bool) (x, y *house) {
	x, y = newHouse(tb, 1, counted), newHouse(tb, 2, counted)
	x.other, y.other = y, x
	ctx, cancel := context.WithCancel(context.Background())
	var links sync.WaitGroup
	for _, h := range []*house{x, y} {
		links.Go(func() {
			for {
				select {
				case f := <-h.frames:
					h.other.sessions.Receive(ctx, h.URL(), f.path, f.text)
					h.free <- f.text
				case <-ctx.Done():
					return
				}
			}
		})
	}
	tb.Cleanup(func() {
		closing, done := context.WithTimeout(context.Background(), 30*time.Second)
		defer done()
		for _, h := range []*house{x, y} {
			if err := h.registry.Close(closing); err != nil {
				tb.Error(err)
			}
		}
		for _, h := range []*house{x, y} {
			_ = h.sessions.Close(closing) // a test checks for itself what is left
		}
		cancel()
		links.Wait()
		for _, h := range []*house{x, y} {
			h.background.End()
			h.sync.Close()
			h.background.Wait()
			h.bus.Close()
		}
	})
	return x, y
}

func newHouse(tb testing.TB, seed byte, counted bool) *house {
	must := func(err error) {
		if err != nil {
			tb.Fatal(err)
		}
	}
	who, err := identity.New(ed25519.NewKeyFromSeed(append(make([]byte, 31), seed)), "example.com")
	must(err)
	private, certificate, err := who.SessionKey()
	must(err)
	policy, err := identity.Trust{}.Policy(tb.TempDir())
	must(err)
	rt := &Runtime{config: Config{Domain: "example.com"}, logging: logging{log: hclog.NewNullLogger()}, identity: who, policy: policy,
		key: session.Key{Private: private, Certificate: certificate}, background: work.NewGroup()}
	h := &house{Runtime: rt, tb: tb, handler: who.URL().Join("p2phandler", "alpha"), frames: make(chan frame, 64), free: make(chan []byte, 64),
		changed: make(chan struct{}, 1)}
	for range cap(h.free) {
		h.free <- nil
	}
	rt.wire(networks.Allowed{}, func(s *session.Options, r *registry.Options) {
		s.Send, s.TrySend, s.Claims.Announced, s.Claims.Ended, s.Events = h.send, nil, nil, nil, rt.tracker.Session
		r.Deployer, r.Handlers, r.Policy = nil, []registry.Handler{{Name: "alpha", URL: h.handler}}, registry.Never
		r.P2P.HandlerGrace, r.PathChanged = time.Hour, h.pathChanged
		r.Sandbox, r.Trust.SignEntry, r.Nodes.Came = nil, nil, nil
	})
	if counted {
		exit := &doors.Exit{Self: rt.URL(), Sessions: rt.sessions, Routes: rt.registry, Plain: rt.plain}
		h.ways = &countedWays{Ways: exit}
		rt.bus.Connect(bus.Outside{Resolver: rt.registry, Forwarder: exit, Authority: rt.registry, Ways: h.ways})
	}
	for _, at := range []message.URL{message.AllocationAddress("example.com"), message.DomainRegistryAddress("example.com"), h.handler} {
		rt.bus.Listen(at, h.answer)
	}
	rt.registry.Start()
	rt.registry.AddStub(registry.Stub{URL: h.relay(), Role: sdk.RoleNode, Domain: "example.com"})
	return h
}

// countedWays counts the messages that leave by a way that the MessageBus has remembered.
type countedWays struct {
	bus.Ways
	posted atomic.Int64
}

func (c *countedWays) Way(owner, to message.URL) bus.Way {
	w := c.Ways.Way(owner, to)
	if w == nil {
		return nil
	}
	return countedWay{w, &c.posted}
}

type countedWay struct {
	bus.Way
	posted *atomic.Int64
}

func (c countedWay) Post(ctx context.Context, m message.Message) error {
	c.posted.Add(1)
	return c.Way.Post(ctx, m)
}

// relay is the stub of the Message Node. What leaves by it comes to the other house, too.
func (h *house) relay() message.URL { return h.URL().Join("protostub", "example.com") }

// answer is the answer of the Message Node, or of the Handler: yes.
func (h *house) answer(ctx context.Context, m message.Message) {
	var body struct {
		Scheme string `json:"scheme"`
		Value  struct {
			Identifier string `json:"identifier"`
		} `json:"value"`
	}
	switch _ = m.Decode(&body); {
	case m.Type == message.Response:
	case m.Type == message.Read:
		_ = h.bus.Post(ctx, m.Refuse(message.CodeNotFound, "nobody has it"))
	default:
		_ = h.bus.Post(ctx, m.Respond(message.CodeOK, map[string]any{"allocated": []string{body.Scheme + "://example.com/" + body.Value.Identifier}}))
	}
}

// send is the sessions' way out.
func (h *house) send(_ context.Context, p session.Path, remote message.URL, texts ...[]byte) error {
	if remote != h.other.URL() {
		return nil // nobody is there
	}
	h.gate.RLock()
	defer h.gate.RUnlock()
	for _, text := range texts {
		h.carried.Store(&p)
		h.frames <- frame{p, append((<-h.free)[:0], text...)}
	}
	return nil
}

func (h *house) pathChanged(remote message.URL, r bus.Route) {
	h.sessions.UsePath(remote, doors.Path(r))
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

// status has the Handler post a status of the connection with the other house.
func (h *house) status(s message.Status) {
	h.tb.Helper()
	m := message.Message{Type: message.Update, From: h.handler, To: h.handler.Join("status"),
		Body: message.Encode(map[string]any{"value": s.String(), "resource": h.other.URL()})}
	if err := h.bus.Post(context.Background(), m); err != nil {
		h.tb.Fatal(err)
	}
}

// connect makes the connection to the other house live, once more.
func (h *house) connect() {
	h.tb.Helper()
	for _, s := range []message.Status{message.Created, message.InProgress, message.Live} {
		h.status(s)
	}
	h.await("a live connection", func() bool {
		r, err := h.registry.RouteTo(h.other.URL())
		return err == nil && r.Direct
	})
}

// disconnect ends the connection.
func (h *house) disconnect() {
	h.tb.Helper()
	h.status(message.Disconnected)
	h.await("no connection", func() bool {
		r, _ := h.registry.RouteTo(h.other.URL())
		return !r.Direct
	})
}

// await waits until something holds.
func (h *house) await(what string, holds func() bool) {
	h.tb.Helper()
	for end := time.Now().Add(time.Minute); !holds(); {
		if time.Now().After(end) {
			h.tb.Fatalf("a minute has passed without %s", what)
		}
		select {
		case <-h.changed:
		case <-time.After(time.Millisecond):
		}
	}
}

// knows waits until an address is known to be at the other house: that of a hyperty when it is listed, one with the scheme
// connection at once.
func (h *house) knows(u message.URL) {
	h.tb.Helper()
	h.await("knowing "+string(u), func() bool {
		return h.registry.Verify(context.Background(), h.other.URL(), u) == nil
	})
}

// hyperty registers a hyperty.
func (h *house) hyperty(name string) *hyperty.Hyperty {
	h.tb.Helper()
	got, err := h.Register(context.Background(), hyperty.Registration{Name: name})
	if err != nil {
		h.tb.Fatal(err)
	}
	h.tb.Cleanup(func() { _ = got.Close(context.Background()) })
	return got
}

// idle waits until everything that was posted is acknowledged.
func (h *house) idle() {
	h.tb.Helper()
	h.await("all acknowledged", func() bool {
		for _, s := range h.sessions.Snapshot() {
			if s.Outstanding > 0 {
				return false
			}
		}
		return true
	})
}

const faraway message.URL = "connection://example.com/5f4dcc3b-5aa7-65d6-1d83-27deb882cf99"

func textOf(n int) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"value":"%0*d"}`, n-len(`{"value":""}`), 7))
}

// BenchmarkPost is the cost of a post for its caller, from the hyperty into the ring of the session with the other runtime.
// The session sends while the clock is stopped.
func BenchmarkPost(b *testing.B) {
	for _, bench := range []struct {
		name string
		to   int // addresses, in turn
	}{{"one", 1}, {"four", 4}, {"hundred", 100}} {
		b.Run(bench.name, func(b *testing.B) { benchmarkPost(b, bench.to) })
	}
}

func benchmarkPost(b *testing.B, addresses int) {
	const batch = 8192
	x, y := newHouses(b)
	x.connect()
	y.connect()
	to := make([]message.URL, addresses)
	var got atomic.Int64
	for i := range to {
		to[i] = message.URL(fmt.Sprintf("%s%d", faraway, i))
		x.knows(to[i])
		y.bus.Listen(to[i], func(context.Context, message.Message) { got.Add(1) })
	}
	alice := x.hyperty("alice")
	y.knows(alice.URL())
	ctx, m := context.Background(), message.Message{Type: message.Update, Body: textOf(100)}
	post := func(n int) {
		for i := range n {
			m.To = to[i%addresses]
			if err := alice.Post(ctx, m); err != nil {
				b.Fatal(err)
			}
		}
	}
	post(batch)
	x.idle()
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; left -= batch {
		b.StopTimer()
		x.gate.Lock()
		b.StartTimer()
		post(min(left, batch))
		b.StopTimer()
		x.gate.Unlock()
		x.idle()
		b.StartTimer()
	}
	b.StopTimer()
	if want := int64(b.N + batch); got.Load() != want {
		b.Fatalf("%d of %d arrived", got.Load(), want)
	}
}
