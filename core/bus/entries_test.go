package bus_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// entries are all calls by which a message that is posted here enters the bus.
func (f *follower) entries() map[string]func(m message.Message) error {
	return map[string]func(m message.Message) error{
		"Post":           func(m message.Message) error { return f.bus.Post(f.Context(), m) },
		"TryPost":        f.bus.TryPost,
		"From":           func(m message.Message) error { return f.bus.From(f.Context(), alice, m) },
		"Handle.Post":    func(m message.Message) error { return f.alice.Post(f.Context(), &m) },
		"Handle.TryPost": func(m message.Message) error { return f.alice.TryPost(&m) },
	}
}

// asking is a Tracker that counts the questions about each message.
type asking struct {
	asked   []message.ID
	receipt minibus.Receipt
}

func (w *asking) Receipt(_ message.URL, id message.ID) minibus.Receipt {
	w.asked = append(w.asked, id)
	return w.receipt
}
func (w *asking) Here(r minibus.Receipt) minibus.Receipt { return r }
func (w *asking) Refused(*message.Message, error)        {}
func (w *asking) Answered(message.URL, *message.Message) {}

// The Tracker is asked once about a message that is posted, by whichever call it enters and way it leaves: to a listener, to
// the way out, by a remembered way, and while it is traced.
func TestAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, watched := range []bool{false, true} {
			var w asking
			if watched {
				w.receipt.By = newCounter()
			}
			f := newFollower(t, &w)
			f.bus.Listen(home+"/here", func(context.Context, message.Message) {})
			for name, enter := range f.entries() {
				for range 3 { // from the third one a handle has a way, unless messages are traced
					for _, to := range []message.URL{home + "/here", bob} {
						m := f.message(to)
						w.asked = nil
						if err := enter(m); err != nil {
							t.Fatal(name, err)
						}
						if !slices.Equal(w.asked, []message.ID{m.ID}) {
							t.Errorf("%s to %s, watched %v: asked about %v", name, to, watched, w.asked)
						}
					}
				}
			}
			if (len(f.ways.posted) > 0) == watched {
				t.Errorf("watched %v: %d went by a way that is remembered", watched, len(f.ways.posted))
			}
			synctest.Wait()
			f.bus.Close()
		}
	})
}

// malformed are messages that every entry refuses, and the errors.
var malformed = map[string]struct {
	change func(m *message.Message)
	err    error
}{
	"no type":   {func(m *message.Message) { m.Type = 0 }, message.ErrMalformed},
	"no to":     {func(m *message.Message) { m.To = "" }, message.ErrMalformed},
	"a loop":    {func(m *message.Message) { m.Via = make([]message.URL, message.MaxVia+1) }, message.ErrMalformed},
	"text":      {func(m *message.Message) { m.Body = []byte(`"text"`) }, message.ErrMalformed},
	"too large": {func(m *message.Message) { m.Body = []byte(`{"a":"` + strings.Repeat("x", message.MaxBody) + `"}`) }, message.ErrTooLarge},
}

// A message that is not valid is refused with the same error at each entry, also where a way is remembered, and is not passed
// on.
func TestMalformedAtEachEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w asking
		f := newFollower(t, &w)
		defer f.bus.Close()
		f.learn(bob)
		f.out.sent, f.ways.posted, w.asked = nil, nil, nil
		for what, bad := range malformed {
			m := f.message(bob)
			bad.change(&m)
			want := m.Check()
			for name, enter := range f.entries() {
				if err := enter(m); !errors.Is(err, bad.err) || err.Error() != want.Error() {
					t.Errorf("%s by %s: %v, want %v", what, name, err, want)
				}
			}
			if len(f.out.sent)+len(f.ways.posted)+len(w.asked) > 0 {
				t.Errorf("%s: sent %v and %v, asked about %v", what, f.out.sent, f.ways.posted, w.asked)
			}
			m.From, m.To = bob, m.To.Base()
			d := minibus.Delivery{Message: m}
			f.bus.Accept(t.Context(), away, &d)
			if n := f.bus.TryAccept(away, []minibus.Delivery{d}); n != 1 {
				t.Errorf("%s: %d refused", what, n)
			}
			f.bus.Arrive(t.Context(), away, away, m)
			for _, answer := range f.out.sent {
				if _, err := answer.OK(); code(t, answer) != message.CodeBadRequest || !strings.Contains(err.Error(), want.Error()) {
					t.Errorf("%s from another runtime is answered %v", what, err)
				}
			}
			if len(f.out.sent) != 3 {
				t.Errorf("%s from another runtime: %d answers", what, len(f.out.sent))
			}
			f.bus.ArriveFromNode(t.Context(), home+"/protostub/1", m)
			f.out.sent = nil
		}
		if len(w.asked) > 0 {
			t.Errorf("asked about %v, which other runtimes sent", w.asked)
		}
	})
}

// shut is a world in which every call would have to wait.
type shut struct {
	outside
	waits bool // the Resolver does; else the way out
}

func (s *shut) TryResolve(m message.Message) (bus.Route, error) {
	if s.waits {
		return bus.Route{}, message.ErrWouldBlock
	}
	return s.Resolve(context.Background(), m)
}

func (s *shut) TryForward(bus.Route, message.Message, minibus.Receipt) error {
	return message.ErrWouldBlock
}

// A call that begins with Try does nothing where it would have to wait, and says so; the same call without Try then does all
// of it.
func TestTryPostDoesAllOrNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, waits := range []bool{false, true} {
			out := &shut{waits: waits}
			var hub trace.Hub
			b := bus.New(bus.Options{Runtime: home, Inbox: 1, Trace: &hub})
			b.Connect(bus.Outside{Resolver: out, Forwarder: out, Authority: out})
			gate, heard, published := make(chan struct{}), 0, 0
			b.Listen(home+"/slow", func(context.Context, message.Message) { <-gate; heard++ })
			b.Forward(home+"/changes", away)
			b.Listen(home+"/changes", func(context.Context, message.Message) { published++ })
			post := func(m message.Message) {
				t.Helper()
				m.ID, m.From = message.NumberID(7), home+"/x"
				if err := b.TryPost(m); !errors.Is(err, message.ErrWouldBlock) {
					t.Errorf("to %s: %v", m.To, err)
				}
				synctest.Wait()
				if len(out.sent)+heard+published > 0 {
					t.Errorf("to %s: sent %v, heard %d, published %d", m.To, out.sent, heard, published)
				}
			}
			for range 2 { // one is being handled, one waits
				if err := b.TryPost(message.Message{Type: message.Update, From: home + "/x", To: home + "/slow"}); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
			}
			tries := func() {
				for _, to := range []message.URL{home + "/slow", home + "/nobody", bob, nobody} {
					post(message.Message{Type: message.Create, To: to})
				}
				post(message.Message{Type: message.Update, To: home + "/changes"})
				post(message.Message{Type: message.Response, To: bob, Body: []byte(`{"code":200}`)})
			}
			tries()
			end := hub.Watch(func(e trace.Event) { t.Errorf("told of what was not done: %+v", e) }, false)
			tries()
			end()
			close(gate)
			synctest.Wait()
			b.Close()
			if heard != 2 {
				t.Errorf("%d heard", heard)
			}
		}
	})
}

// A response that is tried answers the request that waits for it, once.
func TestTryPostAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outside
		b := open(&o)
		defer b.Close()
		b.Listen(alice, func(_ context.Context, m message.Message) {
			if err := b.TryPost(m.Respond(message.CodeOK, nil)); err != nil {
				t.Error(err)
			}
		})
		m, err := b.Request(t.Context(), message.Message{Type: message.Read, From: home + "/x", To: alice})
		if err != nil || code(t, m) != message.CodeOK {
			t.Errorf("%v, %v", m, err)
		}
	})
}

// A context that has ended bounds the wait and nothing else: a call that need not wait succeeds, and any other returns an
// error.
func TestEndedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended, end := context.WithCancel(t.Context())
		end()
		out := &canceling{}
		b := bus.New(bus.Options{Runtime: home, Inbox: 1})
		defer b.Close()
		b.Connect(bus.Outside{Resolver: out, Forwarder: out, Authority: out})
		gate, heard := make(chan struct{}), 0
		b.Listen(alice, func(context.Context, message.Message) { <-gate; heard++ })
		m := message.Message{Type: message.Update, From: home + "/x", To: alice}
		taken := 0
		for range 4 {
			switch err := b.Post(ended, m); {
			case err == nil:
				taken++
			case !errors.Is(err, message.ErrBackpressure) || !errors.Is(err, context.Canceled):
				t.Error(err)
			}
			synctest.Wait()
		}
		close(gate)
		synctest.Wait()
		if taken != 2 || heard != taken {
			t.Errorf("%d are said to be taken, %d were heard", taken, heard)
		}
		m.To = bob
		ctx, cancel := context.WithCancel(t.Context())
		out.cancel = cancel
		if err := b.Post(ctx, m); err != nil || len(out.sent) != 1 {
			t.Errorf("a message that left while its context ended: %v, %d sent", err, len(out.sent))
		}
		ctx, cancel = context.WithCancel(t.Context())
		out.cancel, out.refuses = cancel, true
		if err := b.Post(ctx, m); !errors.Is(err, context.Canceled) || len(out.sent) != 1 {
			t.Errorf("a message that has not left when its context ended: %v, %d sent", err, len(out.sent))
		}
	})
}

// canceling is a way out on which the context of each message ends.
type canceling struct {
	outside
	cancel  context.CancelFunc
	refuses bool // it does not take the message then
}

func (c *canceling) Forward(ctx context.Context, r bus.Route, m message.Message, receipt minibus.Receipt) error {
	c.cancel()
	if c.refuses {
		return ctx.Err()
	}
	return c.outside.Forward(ctx, r, m, receipt)
}
