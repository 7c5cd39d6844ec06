package syncmanager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is some runtimes that reach each other by links, one runtime a domain.
type world struct {
	t    *testing.T
	ctx  context.Context
	by   map[string]*runtime // by domain
	wg   sync.WaitGroup
	mu   sync.Mutex
	lose func(from, to string, m message.Message) bool // a message that the link is to lose
	pace time.Duration                                 // of a link: the time that each message takes it

	alter func(m message.Message) message.Message // what a link makes of a message; nil: nothing
	tells bool                                    // whoever has sent what is lost is told, as a session tells of what it gives up
}

// runtime is a MessageBus and a sync manager.
type runtime struct {
	w      *world
	domain string
	url    message.URL
	bus    *bus.MessageBus
	sm     *Manager
	limits Limits
	folder string

	mu       sync.Mutex
	next     int
	objects  map[message.URL]registry.Object
	nodeGot  []message.Message
	nodeSays int
	nodeAway bool                   // the node answers nothing
	out      map[string]chan flight // the links, by domain
	ends     []string               // deletions that have left, and objects that were unregistered, in order
}

// run runs f in a bubble with runtimes for the domains.
func run(t *testing.T, f func(w *world), domains ...string) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		w := &world{t: t, ctx: ctx, by: make(map[string]*runtime)}
		for _, d := range domains {
			w.by[d] = &runtime{
				w: w, domain: d, url: message.URL("hyperty-runtime://" + d + "/r"), objects: make(map[message.URL]registry.Object),
				nodeSays: 200, out: make(map[string]chan flight),
			}
		}
		for _, r := range w.by {
			r.link()
			r.start()
		}
		defer func() {
			for _, r := range w.by {
				r.stop()
			}
			cancel()
			w.wg.Wait()
		}()
		f(w)
	})
}

func (r *runtime) start() {
	r.mu.Lock()
	r.bus = bus.New(bus.Options{Runtime: r.url})
	r.mu.Unlock()
	r.bus.Connect(bus.Outside{Resolver: r, Forwarder: r})
	r.sm = New(Options{Runtime: r.url, Domain: r.domain, Bus: r.bus, Objects: r, Limits: r.limits, Folder: r.folder,
		Local:  func(u message.URL) bool { return u.Domain() == r.domain },
		Remote: func(u message.URL) message.URL { return message.URL("hyperty-runtime://" + u.Domain() + "/r") }})
	r.sm.Restore()
}

// now is the MessageBus of the runtime's present life.
func (r *runtime) now() *bus.MessageBus {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bus
}

func (r *runtime) stop() {
	r.sm.Close()
	r.bus.Close()
}

// flight is a message on a link.
type flight struct {
	m       message.Message
	arrives time.Time
}

// link makes the ways to the other runtimes: each keeps the order and takes 10 ms.
func (r *runtime) link() {
	for domain := range r.w.by {
		way := make(chan flight, 100)
		r.out[domain] = way
		r.w.wg.Go(func() {
			for {
				select {
				case f := <-way:
					m := f.m
					time.Sleep(time.Until(f.arrives))
					r.w.mu.Lock()
					pace, tells := r.w.pace, r.w.tells
					lost := r.w.lose != nil && r.w.lose(r.domain, domain, m)
					if r.w.alter != nil {
						m = r.w.alter(m)
					}
					r.w.mu.Unlock()
					time.Sleep(pace)
					switch {
					case !lost:
						r.w.by[domain].now().Arrive(r.w.ctx, r.url, "", m)
					case tells:
						r.sm.Undelivered(r.w.by[domain].url, []message.Message{{ID: m.ID, Type: m.Type, From: m.From, To: m.To}})
					}
				case <-r.w.ctx.Done():
					return
				}
			}
		})
	}
}

func (w *world) losing(f func(from, to string, m message.Message) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lose = f
}

// Resolve finds the runtime of an address's domain.
func (r *runtime) Resolve(_ context.Context, m message.Message) (bus.Route, error) {
	if m.To.IsBackEnd() {
		return bus.Route{Stub: "node"}, nil
	}
	if r.w.by[m.To.Domain()] == nil {
		return bus.Route{}, &message.ResponseError{Code: 404, Description: "nobody knows " + string(m.To)}
	}
	return bus.Route{Remote: r.w.by[m.To.Domain()].url}, nil
}

// TryResolve leaves everything to Resolve.
func (r *runtime) TryResolve(message.Message) (bus.Route, error) {
	return bus.Route{}, message.ErrWouldBlock
}

// TryForward leaves everything to Forward.
func (r *runtime) TryForward(bus.Route, message.Message, minibus.Receipt) error {
	return message.ErrWouldBlock
}

func (r *runtime) Forward(ctx context.Context, route bus.Route, m message.Message, _ minibus.Receipt) error {
	if route.Remote == "" {
		r.mu.Lock()
		r.nodeGot = append(r.nodeGot, m)
		says, away := r.nodeSays, r.nodeAway
		r.mu.Unlock()
		if away {
			return nil
		}
		r.w.wg.Go(func() { r.now().ArriveFromNode(r.w.ctx, "node", m.Respond(says, nil)) })
		return nil
	}
	select {
	case r.out[route.Remote.Domain()] <- flight{m, time.Now().Add(10 * time.Millisecond)}:
		if m.Type == message.Delete {
			r.ending("deletion")
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *runtime) RegisterObject(_ context.Context, o registry.Object) (message.URL, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o.URL == "" {
		r.next++
		o.URL = message.URL(fmt.Sprintf("%s://%s/o%d", o.Scheme, r.domain, r.next))
	}
	if strings.HasSuffix(string(o.URL), "taken") {
		return "", &message.ResponseError{Code: 409, Description: "another has it"}
	}
	r.objects[o.URL] = o
	return o.URL, nil
}

func (r *runtime) UnregisterObject(_ context.Context, url message.URL) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.objects, url)
	r.ends = append(r.ends, "unregistered")
	return nil
}

// ending notes a step of an object's end.
func (r *runtime) ending(step string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends = append(r.ends, step)
}

func (r *runtime) registered() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.objects)
}

// component is a hyperty with a MiniBus and a syncher.
type component struct {
	*syncher.Syncher
	url    message.URL
	bus    *minibus.MiniBus
	unhear func()
	r      *runtime
}

func (r *runtime) component(name string) *component {
	c := &component{url: message.URL("hyperty://" + r.domain + "/" + name), r: r}
	c.bus = minibus.New(minibus.Options{Out: func(ctx context.Context, m message.Message) error { return c.r.bus.From(ctx, c.url, m) }})
	c.connect()
	c.Syncher = syncher.New(syncher.Options{Bus: c.bus, Owner: c.url, Runtime: r.url})
	return c
}

func (c *component) connect() {
	c.unhear = c.r.bus.Listen(c.url, func(ctx context.Context, m message.Message) { c.bus.Deliver(ctx, m) })
}

func (c *component) close() {
	c.Close()
	c.unhear()
	c.bus.Close()
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, code int) {
	t.Helper()
	var refusal *message.ResponseError
	if !errors.As(err, &refusal) || refusal.Code != code {
		t.Fatalf("want code %d, got %v", code, err)
	}
}

func wantValue(t *testing.T, got json.RawMessage, want string) {
	t.Helper()
	var a, b any
	check(t, json.Unmarshal(got, &a))
	check(t, json.Unmarshal([]byte(want), &b))
	if string(message.Encode(a)) != string(message.Encode(b)) {
		t.Fatalf("value %.300s, want %.300s", got, want)
	}
}

// next reads the next change and tells whether it is the wanted one.
func next(t *testing.T, o *syncher.Observer) syncher.Change {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := o.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantEnd(t *testing.T, o *syncher.Observer) {
	t.Helper()
	if c := next(t, o); !c.Deleted {
		t.Fatalf("want the deletion, got %+v", c)
	}
	if _, err := o.Next(context.Background()); err != io.EOF {
		t.Fatalf("want io.EOF, got %v", err)
	}
}

// left is how many objects, subscriptions and bytes the sync manager keeps.
func (r *runtime) left() string {
	sm := r.sm.lock()
	defer sm.unlock()
	remotes := 0
	for _, o := range sm.reported {
		n, _ := o.Counts()
		remotes += n
		if len(o.forwards) != n {
			r.w.t.Errorf("%s is forwarded to %d runtimes, and observed from %d", o.URL(), len(o.forwards), n)
		}
	}
	owners, followers, _, bytes := sm.usage.Counts()
	return fmt.Sprintf("%d reported to %d, %d observed, %d owners, %d followers, %d bytes, %d running",
		len(sm.reported), remotes, len(sm.observed), owners, followers, bytes, sm.work.all.Used())
}

// limit changes the limits of a sync manager that runs.
func (r *runtime) limit(change func(*Limits)) {
	sm := r.sm.lock()
	defer sm.unlock()
	l := sm.usage.Limits()
	change(&l)
	sm.usage.SetLimits(l)
}

const nothing = "0 reported to 0, 0 observed, 0 owners, 0 followers, 0 bytes, 0 running"
