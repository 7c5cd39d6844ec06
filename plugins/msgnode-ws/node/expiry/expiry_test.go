package expiry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/conn"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/invites"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/limits"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/rates"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/registry"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/rights"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/writes"
	"github.com/protofly/protofly/sdk/message"
)

const (
	keyed  message.URL = "hyperty-runtime://example.com/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	plain  message.URL = "hyperty-runtime://example.com/plain" // of the JSON dialects
	stays  message.URL = "hyperty-runtime://example.com/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	domain             = "example.com"
	grace              = 30 * time.Second
	day                = 24 * time.Hour
	keep               = 30 * day
)

// places are those of connections, of which there are enough.
type places struct{}

func (places) Enter(*quota.Ticket, bool, func()) bool { return true }

// world is an expiry with a state on a disk and a made-up clock; it notes what the registry announces.
type world struct {
	*Expiry
	t         *testing.T
	now       time.Time
	mu        sync.Mutex
	announced []string
}

func (w *world) Publish(m message.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.announced = append(w.announced, string(m.To)+" "+string(m.Body))
}

// begin makes a world where stays has a connection.
func begin(t *testing.T, l limits.Limits) *world {
	t.Helper()
	log := hclog.NewNullLogger()
	nats, err := backbone.Start(backbone.Options{Domain: domain, Data: t.TempDir(), Log: log, Lost: func(string) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Close)
	s, err := state.Open(t.Context(), state.Options{Domain: domain, NATS: nats, Invites: true, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	times := limits.DefaultTimes()
	times.Grace, times.Retention = grace, keep
	ctx, cancel := context.WithCancel(t.Context())
	conns := conn.NewSet(ctx, conn.Options{Queue: l.Queue, Log: log})
	router, err := routing.New(routing.Options{Domain: domain, Node: "1", NATS: nats, Conns: conns, Places: places{}, Limits: l, Times: times, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	router.Use(s, &rights.Rights{Domain: domain, State: s, Connected: router.Roster.Connected})
	w := &world{t: t, now: time.Date(2026, 1, 10, 12, 0, 0, 0, time.UTC)}
	wr := &writes.Writes{Rates: rates.New(l), NATS: nats, Log: log}
	w.Expiry = New(Options{Limits: l, Times: times, State: s, Writes: wr, NATS: nats, Router: router, Log: log,
		Registry: registry.New(domain, l, s, wr, nil, w), Invites: &invites.Invites{State: s, Writes: wr, Log: log}})
	wc := conns.New(quota.Source{}, conn.Binary)
	wc.SetRuntime(stays)
	c := routing.NewClient(wc, rates.NewSpending(ctx, wr.Rates, quota.Source{}, wc.ID), &quota.Ticket{})
	if err := router.Attach(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		router.Detach(c)
		conns.Remove(wc)
		cancel()
		conns.Close()
	})
	return w
}

// later moves the clock, and sweeps.
func (w *world) later(d time.Duration) {
	w.now = w.now.Add(d)
	w.sweep(w.t.Context(), w.now)
}

// entry registers an entry of a runtime, which is kept alive for an hour from now on.
func (w *world) entry(name string, owner message.URL, status string) message.URL {
	w.t.Helper()
	u := message.URL("hyperty://example.com/" + name)
	err := w.o.State.Registrations.Change(w.t.Context(), state.RegistrationKey(u), func(*state.Registration) (*state.Registration, error) {
		return &state.Registration{URL: u, Owner: owner, Status: status, Expires: 3600, Started: w.now, Modified: w.now}, nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

// given makes an address a runtime's, which keeps it.
func (w *world) given(u, runtime message.URL) {
	w.t.Helper()
	err := w.o.State.Allocations.Change(w.t.Context(), state.AddressKey(u), func(*state.Allocation) (*state.Allocation, error) {
		return &state.Allocation{Runtime: runtime, Address: u, Wished: true, Seen: w.now}, nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// status is what is written of an entry; "": there is none.
func (w *world) status(u message.URL) string {
	if r := w.o.State.Registrations.Get(state.RegistrationKey(u)); r != nil {
		return r.Status
	}
	return ""
}

// must checks the states of entries, and how often the subscribers of entries were told since the last time.
func (w *world) must(told int, want map[message.URL]string) {
	w.t.Helper()
	for u, status := range want {
		if got := w.status(u); got != status {
			w.t.Errorf("%s is %q, want %q", u, got, status)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.announced) != told {
		w.t.Errorf("told %q, want %d", w.announced, told)
	}
	w.announced = nil
}

// An entry ends when it is not kept alive, or its runtime with a key has been away for the grace period; its subscribers are told
// once, and it goes when the retention time is over.
func TestEntriesExpire(t *testing.T) {
	w := begin(t, limits.Defaults())
	away, here, unproved := w.entry("away", keyed, state.Live), w.entry("here", stays, state.Live), w.entry("unproved", plain, state.Live)
	w.given(away, keyed)
	w.given(here, stays)
	w.later(0) // from here on keyed is known to be away
	w.later(grace)
	w.must(0, map[message.URL]string{away: state.Live, here: state.Live, unproved: state.Live})
	w.later(1)
	w.must(1, map[message.URL]string{away: state.Disconnected, here: state.Live, unproved: state.Live})
	w.later(time.Hour - grace - 1)
	w.must(0, map[message.URL]string{here: state.Live, unproved: state.Live})
	w.later(time.Second)
	w.must(2, map[message.URL]string{away: state.Disconnected, here: state.Disconnected, unproved: state.Disconnected})
	w.later(keep - time.Hour - time.Second)
	w.must(0, map[message.URL]string{away: state.Disconnected, here: state.Disconnected})
	w.later(1)
	w.must(0, map[message.URL]string{away: "", here: "", unproved: ""})
}

// The entry of an address that is nobody's any more goes when messages that were sent from there are no longer on their way; that of one
// that its runtime keeps stays for the retention time.
func TestEntriesOfNobodyGo(t *testing.T) {
	w := begin(t, limits.Defaults())
	gone, name := w.entry("gone", stays, state.Disconnected), w.entry("name", stays, state.Disconnected)
	w.given(name, stays)
	w.later(state.LateTime)
	w.must(0, map[message.URL]string{gone: state.Disconnected, name: state.Disconnected})
	w.later(1)
	w.must(0, map[message.URL]string{gone: "", name: state.Disconnected})
	w.given(name, keyed) // it was released, and has another owner
	w.later(1)
	w.must(0, map[message.URL]string{name: ""})
}

// A nearly full state loses entries that are disconnected, of whoever has the most there, the oldest first; no others.
func TestRoomIsMade(t *testing.T) {
	l := limits.Defaults()
	l.Rows = 8
	w := begin(t, l)
	live := w.entry("live", stays, state.Live)
	few := w.entry("few", plain, state.Disconnected)
	var many []message.URL
	for i := range 4 {
		many = append(many, w.entry(fmt.Sprint("many", i), keyed, state.Disconnected))
		w.now = w.now.Add(time.Second)
	}
	w.later(0)
	w.must(0, map[message.URL]string{many[0]: state.Disconnected, few: state.Disconnected}) // nothing is removed at three quarters
	many = append(many, w.entry("many4", keyed, state.Disconnected))
	w.later(0)
	w.must(0, map[message.URL]string{many[0]: "", many[1]: state.Disconnected, few: state.Disconnected, live: state.Live})
}

// A subscription ends when its runtime has been away for the grace period; that of a connected runtime stays.
func TestSubscriptionsExpire(t *testing.T) {
	w := begin(t, limits.Defaults())
	const u message.URL = "hyperty://example.com/x/changes"
	for _, runtime := range []message.URL{keyed, stays} {
		err := w.o.State.Subscriptions.Change(t.Context(), state.SubscriptionKey(runtime, u), func(*state.Subscription) (*state.Subscription, error) {
			return &state.Subscription{Runtime: runtime, Address: u, Since: w.now}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	left := func() (list []message.URL) {
		w.o.State.Subscriptions.Each(func(_ string, s *state.Subscription) { list = append(list, s.Runtime) })
		return list
	}
	w.later(0)
	if w.later(grace); len(left()) != 2 {
		t.Errorf("too early: %v", left())
	}
	if w.later(1); !slices.Equal(left(), []message.URL{stays}) {
		t.Errorf("left: %v", left())
	}
}

// An address is freed when its runtime has stayed away for the retention time. Connected runtimes are noted once a day; wished
// addresses stay.
func TestAllocationsExpire(t *testing.T) {
	w := begin(t, limits.Defaults())
	today := w.now.Truncate(day)
	of := map[message.URL]*state.Allocation{
		"hyperty://example.com/away":   {Runtime: keyed, Seen: today},
		"hyperty://example.com/wished": {Runtime: keyed, Seen: today, Wished: true},
		"hyperty://example.com/here":   {Runtime: stays, Seen: today},
	}
	for u, a := range of {
		a.Address = u
		if err := w.o.State.Allocations.Change(t.Context(), state.AddressKey(u), func(*state.Allocation) (*state.Allocation, error) { return a, nil }); err != nil {
			t.Fatal(err)
		}
	}
	there := func(name string) bool { return w.o.State.Owner(message.URL("hyperty://example.com/"+name)) != "" }
	seen := func() *state.Allocation { return w.o.State.Allocations.Get(state.SeenKey(stays)) }
	if w.later(0); seen() != nil {
		t.Error("noted twice a day")
	}
	if w.later(day); seen() == nil || !seen().Seen.Equal(today.Add(day)) || w.o.State.Allocations.Get(state.SeenKey(keyed)) != nil {
		t.Errorf("noted: %+v", seen())
	}
	if w.later(keep - day); !there("away") {
		t.Error("freed too early")
	}
	w.later(day)
	if there("away") || !there("wished") || !there("here") {
		t.Errorf("away %v, wished %v, here %v", there("away"), there("wished"), there("here"))
	}
}

// mended is a NATS with a fault until it is revived.
type mended struct {
	fault   string
	refuses int // how often it cannot be revived
	tries   chan struct{}
}

func (m *mended) Fault() string { return m.fault }
func (m *mended) Revive() error {
	m.tries <- struct{}{}
	if m.refuses--; m.refuses >= 0 {
		return errors.New("not yet")
	}
	m.fault = ""
	return nil
}

// Run sweeps again and again until its context ends. While NATS has a fault, it repairs that first.
func TestRun(t *testing.T) {
	w := begin(t, limits.Defaults())
	w.now = time.Now().Add(-2 * time.Hour)
	old := w.entry("old", stays, state.Live)
	w.given(old, stays)
	nats := &mended{fault: "off", refuses: 1, tries: make(chan struct{})}
	w.o.NATS, w.o.Times.Sweep = nats, time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { w.Run(ctx) })
	<-nats.tries
	<-nats.tries // the first one has failed
	told := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.announced)
	}
	for told() == 0 && t.Context().Err() == nil {
		<-time.After(time.Millisecond)
	}
	cancel()
	wg.Wait()
	w.must(1, map[message.URL]string{old: state.Disconnected})
}
