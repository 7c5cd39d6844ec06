package registry

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// world is a Message Node's functions and some runtimes in memory: real Registries on real MessageBuses, joined by links that
// keep order and take a millisecond, with stubs that post only the messages that a Registry sees.
type world struct {
	t     *testing.T
	ctx   context.Context
	mu    sync.Mutex
	sides map[message.URL]*side
	wait  sync.WaitGroup

	allocated int
	names     map[message.URL]message.URL     // wished address → runtime
	entries   map[message.URL]json.RawMessage // Domain Registry
	gone      map[message.URL]bool            // disconnected entries
	reads     map[message.URL]int
	asked     []message.Message                                // what the node was asked
	freed     []message.URL                                    // addresses, in their order
	down      bool                                             // the node does not answer
	cheat     func(url message.URL, entry json.RawMessage) any // what the Domain Registry answers instead of the entry
	slow      time.Duration
	found     func(m message.Message) message.Message // answers searches
}

// inWorld runs a test in a new world, in fake time.
func inWorld(t *testing.T, test func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := &world{t: t, ctx: ctx, sides: map[message.URL]*side{}, names: map[message.URL]message.URL{},
			entries: map[message.URL]json.RawMessage{}, gone: map[message.URL]bool{}, reads: map[message.URL]int{}}
		test(w)
		for _, url := range slices.Sorted(maps.Keys(w.sides)) {
			closing, done := context.WithTimeout(t.Context(), time.Minute)
			if err := w.sides[url].reg.Close(closing); err != nil {
				t.Error(err)
			}
			done()
		}
		cancel()
		for _, s := range w.sides {
			s.bus.Close()
		}
		w.wait.Wait()
	})
}

// side is one runtime.
type side struct {
	w      *world
	url    message.URL
	reg    *Registry
	bus    *bus.MessageBus
	domain string
	key    ed25519.PrivateKey // nil: it does not sign

	mu       sync.Mutex
	links    map[message.URL]chan func()
	events   []trace.Event
	deployed []Deployment
	ended    []message.URL
	paths    []string // PathChanged's calls
	doors    map[message.URL]message.URL
	direct   int
	relayed  int

	// What the stubs do.
	deployErr  map[string]error // by plug-in, or domain
	deaf       bool             // Handlers do not answer invitations
	noDoor     bool             // Handlers refuse the registration of doors
	mute       bool             // Requesters post nothing after created
	lost       int              // how many executes do not reach the Requester
	stuck      message.URL      // a runtime that takes nothing
	reconnects int
}

// add makes a runtime with an id that a test can read, which cannot sign. Only runtimes that cannot sign believe it.
func (w *world) add(id, domain string, change func(*Options)) *side {
	return w.join(id, domain, nil, change)
}

// signed makes the n-th runtime that signs its entries, and believes only signed ones.
func (w *world) signed(n byte, change func(*Options)) *side {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
	s := w.join(proof.RuntimeID(key.Public().(ed25519.PublicKey)), "example.com", key, change)
	s.key = key
	return s
}

func (w *world) join(id, domain string, key ed25519.PrivateKey, change func(*Options)) *side {
	url := message.URL("hyperty-runtime://" + domain + "/" + id)
	s := &side{w: w, url: url, domain: domain, links: map[message.URL]chan func(){}, doors: map[message.URL]message.URL{}, deployErr: map[string]error{}}
	watch := &trace.Hub{}
	watch.Watch(func(e trace.Event) {
		s.mu.Lock()
		s.events = append(s.events, e)
		s.mu.Unlock()
	}, true)
	s.bus = bus.New(bus.Options{Runtime: url, Trace: watch})
	o := Options{Runtime: url, Domain: domain, Bus: s.bus, Deployer: s, Trace: watch, P2P: P2POptions{Prefer: []string{"alpha", "beta"}},
		PathChanged: func(remote message.URL, route bus.Route) {
			s.mu.Lock()
			s.paths = append(s.paths, fmt.Sprintf("%s direct=%v", remote, route.Direct))
			s.mu.Unlock()
		}}
	if key != nil {
		o.Trust.SignEntry = func(e proof.Entry, issued, expires time.Time) *proof.EntryProof { return e.Sign(key, issued, expires) }
	} else {
		o.Trust.Unsigned = func(message.URL) bool { return true }
	}
	for _, name := range []string{"alpha", "beta"} {
		o.Handlers = append(o.Handlers, Handler{Name: name, URL: url.Join("p2phandler", name)})
	}
	if change != nil {
		change(&o)
	}
	s.reg = New(o)
	s.bus.Connect(bus.Outside{Resolver: s.reg, Forwarder: s, Authority: s.reg})
	s.reg.Start()
	for _, h := range o.Handlers {
		s.bus.Listen(h.URL, func(ctx context.Context, m message.Message) {
			w.wait.Go(func() { s.handler(h.URL, m) })
		})
	}
	w.sides[url] = s
	return s
}

// Forward is the way out of the runtime.
func (s *side) Forward(ctx context.Context, route bus.Route, m message.Message, _ minibus.Receipt) error {
	if route.Remote == "" {
		s.w.wait.Go(func() { s.w.node(s, route, m) })
		return nil
	}
	if route.Door == "" {
		var err error
		if route, err = s.reg.RouteTo(route.Remote); err != nil {
			return err
		}
	}
	s.mu.Lock()
	if route.Direct {
		s.direct++
	} else {
		s.relayed++
	}
	s.mu.Unlock()
	s.mu.Lock()
	stuck := s.stuck == route.Remote
	s.mu.Unlock()
	if stuck {
		<-ctx.Done()
		return fmt.Errorf("%w: it takes nothing: %w", message.ErrBackpressure, ctx.Err())
	}
	other := s.w.sides[route.Remote]
	if other == nil {
		return errors.New("no such runtime")
	}
	s.link(route.Remote, func() { other.bus.Arrive(s.w.ctx, s.url, "door", m) })
	return nil
}

func (s *side) link(to message.URL, f func()) {
	s.mu.Lock()
	l := s.links[to]
	if l == nil {
		l = make(chan func(), 4096)
		s.links[to] = l
		s.w.wait.Go(func() {
			for {
				select {
				case f := <-l:
					time.Sleep(time.Millisecond)
					f()
				case <-s.w.ctx.Done():
					return
				}
			}
		})
	}
	s.mu.Unlock()
	l <- f
}

// hyperty registers a hyperty that notes what it gets.
func (s *side) hyperty(name string) (message.URL, *inbox) {
	url, err := s.reg.RegisterHyperty(s.w.ctx, Hyperty{Name: name})
	if err != nil {
		s.w.t.Fatal(err)
	}
	in := &inbox{}
	s.bus.Listen(url, func(_ context.Context, m message.Message) {
		in.mu.Lock()
		in.got = append(in.got, m)
		in.mu.Unlock()
	})
	return url, in
}

type inbox struct {
	mu  sync.Mutex
	got []message.Message
}

func (in *inbox) len() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.got)
}

// say posts a message of an application.
func (s *side) say(from, to message.URL) {
	m := message.Message{Type: message.Update, From: from, To: to, Body: json.RawMessage(`{"value":1}`)}
	if err := s.bus.From(s.w.ctx, from, m); err != nil {
		s.w.t.Error(err)
	}
}

// resolve is Resolve for a message of an application.
func (s *side) resolve(to message.URL) (bus.Route, error) {
	return s.reg.Resolve(s.w.ctx, message.Message{Type: message.Update, From: "hyperty://x.example/x", To: to})
}

// change changes the fields that say how the node and the stubs behave.
func (w *world) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (s *side) deployments() []Deployment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.deployed)
}

func (s *side) counts() (direct, relayed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.direct, s.relayed
}

func (s *side) requesters() (list []Deployment) {
	for _, d := range s.deployments() {
		if d.Role == sdk.RoleRequester {
			list = append(list, d)
		}
	}
	return list
}

// connection is the entry for a remote runtime.
func (s *side) connection(remote *side) ConnectionStatus {
	for _, c := range s.reg.Snapshot().Connections {
		if c.Remote == remote.url {
			return c
		}
	}
	return ConnectionStatus{}
}

// settle lets d pass, so that everything that is due until then happens.
func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (s *side) mustBe(remote *side, state message.Status, role sdk.Role) ConnectionStatus {
	s.w.t.Helper()
	c := s.connection(remote)
	if c.State != state || c.Role != role {
		s.w.t.Fatalf("connection of %s with %s is %v as %s (%s), want %v as %s", s.url, remote.url, c.State, c.Role, c.Desc, state, role)
	}
	return c
}

// pair makes two connected runtimes, each with a hyperty; a requested the connection.
func (w *world) pair(change func(*Options)) (a, b *side, alice, bob message.URL, atA, atB *inbox) {
	a, b = w.add("a", "example.com", change), w.add("b", "example.com", change)
	alice, atA = a.hyperty("alice")
	bob, atB = b.hyperty("bob")
	a.say(alice, bob)
	settle(time.Second)
	a.mustBe(b, message.Live, sdk.RoleRequester)
	b.mustBe(a, message.Live, sdk.RoleHandler)
	return
}

// TryForward leaves everything to Forward.
func (s *side) TryForward(bus.Route, message.Message, minibus.Receipt) error {
	return message.ErrWouldBlock
}
