package core

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/protofly/protofly/core/apps/inprocess"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// talk is a hyperty of one house that posts to an address at the other one. While the handle remembers the way to it, there
// is a stream.
type talk struct {
	inprocess.Attachment
	x, y    *house
	url     message.URL
	n       uint64
	got     chan message.Message // to the address
	answers chan message.Message // to the hyperty
}

func newTalk(t *testing.T) *talk {
	x, y := newNeighbours(t, true)
	x.connect()
	y.connect()
	a := &talk{x: x, y: y, got: make(chan message.Message, 1<<16), answers: make(chan message.Message, 1<<10)}
	inner, err := x.Attach(t.Context(), hyperty.Registration{Name: "alice"}, func(_ context.Context, m message.Message, r minibus.Receipt) {
		a.answers <- m
		r.Taken()
	})
	if err != nil {
		t.Fatal(err)
	}
	a.Attachment, a.url = inner, inner.URL()
	y.bus.Listen(faraway, func(_ context.Context, m message.Message) { a.got <- m })
	x.knows(faraway)
	y.knows(a.url)
	t.Cleanup(func() { _ = inner.Close(context.Background()) })
	a.begin(t)
	return a
}

func (a *talk) next() message.Message {
	a.n++
	return message.Message{ID: message.NumberID(a.n), Type: message.Update, From: a.url, To: faraway, Body: textOf(40)}
}

// begin posts until there is a stream, and takes out what has arrived.
func (a *talk) begin(t *testing.T) {
	t.Helper()
	before := a.n
	a.x.await("a stream", func() bool {
		count := a.x.ways.posted.Load()
		a.post(t)
		return a.x.ways.posted.Load() > count
	})
	for ; before < a.n; before++ {
		<-a.got
	}
}

func (a *talk) post(t *testing.T) {
	t.Helper()
	if err := a.Post(t.Context(), a.next()); err != nil {
		t.Fatal(err)
	}
}

// streams posts a message, waits until it has arrived, and tells whether it left by the remembered way.
func (a *talk) streams(t *testing.T) bool {
	t.Helper()
	count := a.x.ways.posted.Load()
	a.arrives(t)
	return a.x.ways.posted.Load() > count
}

// arrives posts a message and waits until it has arrived.
func (a *talk) arrives(t *testing.T) {
	t.Helper()
	a.post(t)
	if m := <-a.got; m.ID != message.NumberID(a.n) {
		t.Fatalf("message %s instead of %d", m.ID, a.n)
	}
}

func TestStreamPostsWhereTheLongWayWould(t *testing.T) {
	a := newTalk(t)
	for range 100 {
		a.arrives(t)
	}
	states := a.x.sessions.Snapshot()
	if direct, relayed := states[0].Direct, states[0].Relayed; len(states) != 1 || direct < a.n {
		t.Errorf("%d messages, %d counted as direct and %d as relayed", a.n, direct, relayed)
	}
	if !a.streams(t) {
		t.Error("no stream")
	}
}

func TestStreamFollowsTheWay(t *testing.T) {
	a := newTalk(t)
	for range 20 {
		a.x.disconnect()
		a.arrives(t)
		if p := a.x.carried.Load(); p.Stub != a.x.relay() || p.Direct {
			t.Fatalf("without a connection a message went by %+v", p)
		}
		a.x.connect()
		a.arrives(t)
		if p := a.x.carried.Load(); p.Stub != a.x.handler || !p.Direct {
			t.Fatalf("with a connection a message went by %+v", p)
		}
		a.begin(t)
	}
}

func TestStreamEndsWhereSomebodyHereListens(t *testing.T) {
	t.Parallel()
	a := newTalk(t)
	here := make(chan message.Message, 1)
	stop := a.x.bus.Listen(faraway, func(_ context.Context, m message.Message) { here <- m })
	for range 5 { // nor does a new one begin
		a.post(t)
		select {
		case m := <-here:
			if m.ID != message.NumberID(a.n) {
				t.Fatalf("message %s instead of %d", m.ID, a.n)
			}
		case m := <-a.got:
			t.Fatalf("message %s has passed who listens here", m.ID)
		}
	}
	stop()
	a.arrives(t)
	a.begin(t)
	stop = a.x.bus.Forward(faraway, a.y.URL())
	if a.streams(t) {
		t.Error("a stream to an address that another runtime has subscribed to")
	}
	a.arrives(t)
	stop()
	a.begin(t)
	a.x.bus.Listen("comm://example.com/another", func(context.Context, message.Message) {})
	a.arrives(t)
	a.begin(t)
	a.arrives(t)
}

func TestStreamEndsWithTheHyperty(t *testing.T) {
	a := newTalk(t)
	if err := a.x.registry.Unregister(t.Context(), a.url); err != nil {
		t.Fatal(err)
	}
	var refused *message.ResponseError
	if err := a.Post(t.Context(), a.next()); !errors.As(err, &refused) || refused.Code != message.CodeForbidden {
		t.Errorf("a hyperty that is not registered any more posts: %v", err)
	}
}

func TestStreamIsForTheHypertysOwnMessages(t *testing.T) {
	a := newTalk(t)
	m := a.next()
	m.From = "hyperty://example.com/mallory"
	var refused *message.ResponseError
	if err := a.Post(t.Context(), m); !errors.As(err, &refused) || refused.Code != message.CodeForbidden {
		t.Errorf("in another's name: %v", err)
	}
	m = a.next()
	m.Via = []message.URL{a.x.handler}
	if err := a.Post(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if m := <-a.answers; m.Type != message.Response || m.ID != message.NumberID(a.n) {
		t.Errorf("a message that has crossed the stub before is not refused: %v", m)
	}
	m = a.next()
	m.Body = []byte("text")
	if err := a.Post(t.Context(), m); !errors.Is(err, message.ErrMalformed) {
		t.Errorf("a body that is no object: %v", err)
	}
	m = a.next()
	m.Body = slices.Concat([]byte(`{"value":"`), bytes.Repeat([]byte("x"), message.MaxBody), []byte(`"}`))
	if err := a.Post(t.Context(), m); !errors.Is(err, message.ErrTooLarge) {
		t.Errorf("a body that is too large: %v", err)
	}
	a.arrives(t)
}

func TestStreamIsTraced(t *testing.T) {
	a := newTalk(t)
	var mu sync.Mutex
	var seen []trace.Kind
	stop := a.x.trace.Watch(func(e trace.Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.To == faraway && e.Kind != trace.Frame {
			seen = append(seen, e.Kind)
		}
	}, true)
	a.arrives(t)
	stop()
	mu.Lock()
	defer mu.Unlock()
	if want := []trace.Kind{trace.Post, trace.Resolve, trace.Resolved, trace.Forward}; !slices.Equal(seen, want) {
		t.Errorf("of a message is told %v, want %v", seen, want)
	}
	if !a.streams(t) {
		t.Error("no stream when nobody watches any more")
	}
}

func TestStreamAndTrackedMessages(t *testing.T) {
	t.Parallel()
	a := newTalk(t)
	outcomes := make(chan hyperty.Outcome, 1)
	for range 50 {
		if err := a.PostTracked(t.Context(), a.next(), func(o hyperty.Outcome) { outcomes <- o }); err != nil {
			t.Fatal(err)
		}
		a.post(t) // another message, while the tracked one is on its way
		if o := <-outcomes; o.State != hyperty.Delivered {
			t.Fatal(o)
		}
		for n := a.n - 1; n <= a.n; n++ {
			if m := <-a.got; m.ID != message.NumberID(n) {
				t.Fatalf("message %s instead of %d", m.ID, n)
			}
		}
	}
}

func TestStreamWaitsForRoom(t *testing.T) {
	a := newTalk(t)
	ended, end := context.WithCancel(context.Background())
	end()
	a.x.await("nothing on its way", func() bool { // what is acknowledged later would make room
		now := a.x.sessions.Snapshot()[0]
		return now.Unacked == 0 && now.Outstanding == 0
	})
	a.x.gate.Lock()
	unlock := sync.OnceFunc(a.x.gate.Unlock)
	defer unlock()
	var err error
	for err == nil {
		err = a.Post(ended, a.next())
	}
	a.n--
	if !errors.Is(err, message.ErrBackpressure) || !errors.Is(err, context.Canceled) {
		t.Fatalf("without room: %v", err)
	}
	posted := make(chan error, 1)
	go func() { posted <- a.Post(context.Background(), a.next()) }()
	a.x.await("a poster that waits", func() bool { return a.x.sessions.Snapshot()[0].HeldUp != nil })
	unlock()
	if err := <-posted; err != nil {
		t.Fatal(err)
	}
	var last message.Message
	for last.ID != message.NumberID(a.n) {
		last = <-a.got
	}
	if !a.streams(t) {
		t.Error("no stream when there is room")
	}
}

func TestStreamOfAClosedSession(t *testing.T) {
	a := newTalk(t)
	if err := a.x.sessions.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.post(t)
	if m := <-a.answers; m.Type != message.Response || m.ID != message.NumberID(a.n) {
		t.Errorf("a message to a session that is closed is not refused: %v", m)
	}
}

// A sender notices nothing of changes of the way: everything arrives once and in order.
func TestStreamsInChanges(t *testing.T) {
	t.Parallel()
	a := newTalk(t)
	const posters, each = 3, 4000
	var done atomic.Bool
	var changes sync.WaitGroup
	changes.Go(func() {
		for n := 0; !done.Load(); n++ {
			switch n % 3 {
			case 0:
				a.x.disconnect()
			case 1:
				a.x.connect()
			case 2:
				a.x.bus.Listen(message.URL(fmt.Sprintf("comm://example.com/%d", n)), func(context.Context, message.Message) {})()
			}
		}
	})
	var post sync.WaitGroup
	for p := range uint64(posters) {
		post.Go(func() {
			for n := range uint64(each) {
				m := message.Message{ID: message.NumberID((p+1)<<32 + n), Type: message.Update, From: a.url, To: faraway, Body: textOf(40)}
				if err := a.Post(context.Background(), m); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var next [posters]uint64
	for range posters * each {
		m := <-a.got
		p := -1
		for i := range next {
			if m.ID == message.NumberID(uint64(i+1)<<32+next[i]) {
				p = i
			}
		}
		if p < 0 {
			t.Fatalf("message %s, want one of %v", m.ID, next)
		}
		next[p]++
	}
	post.Wait()
	done.Store(true)
	changes.Wait()
	a.x.connect()
	a.begin(t)
}

func TestStreamsThatShareAPlace(t *testing.T) {
	a := newTalk(t)
	other := message.URL("connection://example.com/0" + string(faraway[len("connection://example.com/0"):])) // another address that ends in the same way
	here := make(chan message.Message, 1)
	stop := a.x.bus.Listen(other, func(_ context.Context, m message.Message) { here <- m })
	a.begin(t)
	m := a.next()
	m.To = other
	if err := a.Post(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	select {
	case <-here:
	case <-a.got:
		t.Fatal("a message to one address went where those to the other go")
	}
	stop()
	a.begin(t)
	a.y.bus.Listen(other, func(_ context.Context, m message.Message) { a.got <- m })
	a.x.knows(other)
	for range 10 {
		m = a.next()
		m.To = other
		if err := a.Post(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		<-a.got
		if !a.streams(t) {
			t.Error("an address that comes in turn with another has driven it out")
		}
	}
}
