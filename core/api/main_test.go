package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

func TestMain(m *testing.M) {
	longtest.Parallel(8)
	goleak.VerifyTestMain(m)
}

const houseURL message.URL = "hyperty-runtime://example.com/house"

// house is a runtime that only knows its own hyperties.
type house struct {
	listeners *minibus.Listeners
	mu        sync.Mutex
	taken     map[message.URL]bool
	unnamed   int
	asked     []hyperty.Registration
	closed    []message.URL
	watchers  []trace.Func
	bus       *loop // nil: none
	slowClose time.Duration
	held      atomic.Int32  // posts that have waited for hold
	hold      chan struct{} // while it is not nil, Post waits for it
}

func newHouse(t testing.TB) *house {
	h := &house{listeners: minibus.NewListeners(0), taken: map[message.URL]bool{}}
	t.Cleanup(h.listeners.Close)
	return h
}

func (h *house) URL() message.URL { return houseURL }

func (h *house) Attach(_ context.Context, r hyperty.Registration, deliver minibus.TakingHandler) (Attachment, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, r)
	if r.Name == "" {
		h.unnamed++
		r.Name = fmt.Sprintf("unnamed-%d", h.unnamed)
	}
	url := message.URL("hyperty://example.com/" + r.Name)
	if h.taken[url] {
		return nil, &message.ResponseError{Code: message.CodeConflict, Description: "the name is taken", From: houseURL}
	}
	h.taken[url] = true
	return &room{h, url, h.listeners.ListenTaking(url, deliver)}, nil
}

type room struct {
	house *house
	url   message.URL
	stop  func()
}

func (r *room) URL() message.URL { return r.url }

func (r *room) Post(ctx context.Context, m message.Message) error {
	r.house.mu.Lock()
	hold := r.house.hold
	r.house.mu.Unlock()
	if hold != nil {
		r.house.held.Add(1)
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if !m.From.Within(r.url) {
		return &message.ResponseError{Code: message.CodeForbidden, From: houseURL,
			Description: fmt.Sprintf("%s may not post under %s", r.url, m.From)}
	}
	if r.house.bus != nil {
		return r.house.bus.Post(ctx, m)
	}
	n, err := r.house.listeners.Deliver(ctx, m.To, m)
	if n == 0 && err == nil && m.Type != message.Response {
		_, err = r.house.listeners.Deliver(ctx, m.From, m.Refuse(message.CodeNotFound, "nobody listens to %s", m.To))
	}
	return err
}

// TryPost leaves to Post what is not for a listener, or refused.
func (r *room) TryPost(m message.Message) error { return r.try(m, minibus.Receipt{}) }

func (r *room) Lost() {}

func (r *room) Withdraw(context.Context) error { return nil }

func (r *room) TryPostTracked(m message.Message, tell func(hyperty.Outcome)) error {
	return r.try(m, minibus.Receipt{By: watching(tell)})
}

func (r *room) try(m message.Message, receipt minibus.Receipt) error {
	r.house.mu.Lock()
	hold := r.house.hold
	r.house.mu.Unlock()
	if hold == nil && r.house.bus == nil && m.From.Within(r.url) {
		if n, _ := r.house.listeners.TryHand(m.To, m, receipt, nil); n > 0 {
			return nil
		}
	}
	return message.ErrWouldBlock
}

func (r *room) PostTracked(ctx context.Context, m message.Message, tell func(hyperty.Outcome)) error {
	n, err := r.house.listeners.Hand(ctx, m.To, m, minibus.Receipt{By: watching(tell)})
	if n == 0 && err == nil {
		tell(hyperty.Outcome{State: hyperty.Refused, Code: message.CodeNotFound})
	}
	return err
}

// watching is a tell as a receipt's Taker.
type watching func(hyperty.Outcome)

func (w watching) Settled(_ uint64, _ uint32, code int) {
	if code == message.CodeOK {
		w(hyperty.Outcome{State: hyperty.Delivered})
	} else {
		w(hyperty.Outcome{State: hyperty.Refused, Code: code})
	}
}

func (w watching) Failed(_ uint64, _ uint32, _ message.Message, why error) {
	w(hyperty.Outcome{State: hyperty.Refused, Reason: why.Error()})
}

// Release is Close; the house does not give the name "kept" up.
func (r *room) Release(ctx context.Context) error {
	err := r.Close(ctx)
	if err == nil && r.url.Path() == "/kept" {
		err = &message.ResponseError{Code: message.CodeUnavailable, From: houseURL, Description: "the node is away"}
	}
	return err
}

func (r *room) Close(ctx context.Context) error {
	select {
	case <-time.After(r.house.slowClose):
	case <-ctx.Done():
		return ctx.Err()
	}
	r.stop()
	r.house.mu.Lock()
	defer r.house.mu.Unlock()
	delete(r.house.taken, r.url)
	r.house.closed = append(r.house.closed, r.url)
	return nil
}

func (h *house) Status(context.Context) (Status, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	st := Status{Runtime: houseURL, Domain: "example.com", Version: "test", Started: time.Now()}
	for url := range h.taken {
		st.Hyperties = append(st.Hyperties, Hyperty{URL: url})
	}
	return st, nil
}

func (h *house) Reload(_ context.Context, plugin string, restart bool) (Reloaded, error) {
	if plugin == "broken" {
		return Reloaded{}, errors.New("reload broken: wrong checksum; the process that ran before goes on")
	}
	return Reloaded{Plugin: plugin, Running: plugin != "idle", OldVersion: "1.0", NewVersion: "2.0", OldPID: 11, NewPID: 12, HandOver: 0.05, Drain: 0.6}, nil
}

func (h *house) Profile(_ context.Context, plugin, kind string, _ int) ([]byte, error) {
	if plugin == "foreign" {
		return nil, errors.New("the plug-in foreign takes no profiles")
	}
	return bytes.Repeat([]byte(kind), 1<<20), nil
}

func (h *house) Path(_ context.Context, to message.URL) (Path, error) {
	if h.listeners.Has(to) {
		return Path{To: to, Way: WayLocal, Why: "it is here"}, nil
	}
	return Path{}, &message.ResponseError{Code: message.CodeNotFound, From: to, Description: "nobody has this address"}
}

func (h *house) Watch(f trace.Func, bodies bool) func() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !bodies { // as the core does
		told := f
		f = func(e trace.Event) { e.Body = ""; told(e) }
	}
	h.watchers = append(h.watchers, f)
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.watchers = nil
	}
}

func (h *house) holdPosts() (release func()) {
	hold := make(chan struct{})
	h.mu.Lock()
	h.hold = hold
	h.mu.Unlock()
	return func() {
		h.mu.Lock()
		h.hold = nil
		h.mu.Unlock()
		close(hold)
	}
}

// serve serves h at a socket of the test's own.
func serve(t testing.TB, h Backend, socket string) *Server {
	t.Helper()
	s, err := Serve(Options{Backend: h, Socket: socket, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

func socketPath(t testing.TB) string { return filepath.Join(t.TempDir(), "p", "api.sock") }

func dial(t testing.TB, o hyperty.Options) *hyperty.Client {
	t.Helper()
	c, err := hyperty.Dial(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = c.Close(ctx)
	})
	return c
}

func register(t testing.TB, c hyperty.Runtime, name string) *hyperty.Hyperty {
	t.Helper()
	h, err := c.Register(limit(t), hyperty.Registration{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// limit bounds what a test waits for.
func limit(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits until done says so.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(40 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
