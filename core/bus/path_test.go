package bus_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/flynn/noise"

	"github.com/protofly/protofly/core/apps/inprocess"
	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/internal/runtimekey"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// house is a runtime with one application in its process: a bus, and a session with the only other house. Frames go from one
// session to the other at once, without plug-ins.
type house struct {
	url      message.URL
	app      *hyperty.Hyperty
	bus      *bus.MessageBus
	sessions *session.Sessions
	other    *house
	route    bus.Route // to the other
}

func newHouse(tb testing.TB, name string, seed byte) *house {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	static, err := noise.DH25519.GenerateKeypair(bytes.NewReader(bytes.Repeat([]byte{seed, 1}, 16)))
	if err != nil {
		tb.Fatal(err)
	}
	h := &house{url: message.URL("hyperty-runtime://example.com/" + proof.RuntimeID(key.Public().(ed25519.PublicKey)))}
	h.bus = bus.New(bus.Options{Runtime: h.url})
	h.bus.Connect(bus.Outside{Resolver: h, Forwarder: h, Authority: h})
	h.sessions = session.New(session.Options{
		Self: h.url, Key: session.Key{Private: static.Private, Certificate: runtimekey.Certify(key, h.url, static.Public)},
		Send: func(ctx context.Context, path session.Path, _ message.URL, frames ...[]byte) error {
			for _, f := range frames {
				h.other.sessions.Receive(ctx, h.url, path, f)
			}
			return nil
		},
		Acceptor: h.bus,
		Refuse:   func(message.URL, message.Message, error) {},
	})
	h.app, err = inprocess.New(tb.Context(), h.url, func(_ context.Context, to minibus.Receiver) (inprocess.Attachment, error) {
		url := message.URL("hyperty://example.com/" + name)
		return &seat{h, url, h.bus.ListenThrough(url, to)}, nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

func (h *house) Resolve(context.Context, message.Message) (bus.Route, error) { return h.route, nil }

func (h *house) TryResolve(message.Message) (bus.Route, error) { return h.route, nil }

func (h *house) Forward(ctx context.Context, r bus.Route, m message.Message, _ minibus.Receipt) error {
	return h.sessions.Post(ctx, r.Remote, session.Path{Door: r.Door, Stub: r.Stub, Direct: r.Direct}, m)
}

func (h *house) TryForward(r bus.Route, m message.Message, _ minibus.Receipt) error {
	return h.sessions.TryPost(r.Remote, session.Path{Door: r.Door, Stub: r.Stub, Direct: r.Direct}, m)
}

func (h *house) VerifyLocal(owner, from message.URL) error {
	if !from.Within(owner) {
		return fmt.Errorf("%s is not %s", from, owner)
	}
	return nil
}

func (h *house) Verify(context.Context, message.URL, message.URL) error { return nil }

func (h *house) TryVerify(message.URL, message.URL) error { return nil }

// seat is the attachment of the house's application.
type seat struct {
	house *house
	url   message.URL
	stop  func()
}

func (s *seat) URL() message.URL                  { return s.url }
func (s *seat) Close(context.Context) error       { s.stop(); return nil }
func (s *seat) Release(ctx context.Context) error { return s.Close(ctx) }
func (s *seat) Post(ctx context.Context, m message.Message) error {
	return s.house.bus.From(ctx, s.url, m)
}
func (s *seat) PostTracked(context.Context, message.Message, func(hyperty.Outcome)) error { return nil }

// neighbours are two houses; got counts the messages that the second one's application has taken.
func neighbours(tb testing.TB) (a, b *house, got *counter) {
	a, b, got = newHouse(tb, "alice", 1), newHouse(tb, "bob", 2), newCounter()
	for _, h := range []*house{a, b} {
		h.other = b
		if h == b {
			h.other = a
		}
		door := h.url + "/p2prequester/1"
		h.route = bus.Route{Stub: door, Door: door, Remote: h.other.url, Direct: true}
	}
	b.app.Handle(func(context.Context, hyperty.Received) { got.one() })
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		a.sessions.Close(ctx)
		b.sessions.Close(ctx)
		for _, h := range []*house{a, b} {
			h.app.Close(ctx)
			h.bus.Close()
		}
	})
	return a, b, got
}

// BenchmarkApplicationToApplication is a message's whole walk without the plug-ins: from Post of an application in one
// runtime's process to the handler of one in the other's, with the session between them. The allocations are those of both
// sides.
func BenchmarkApplicationToApplication(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			from, to, got := neighbours(b)
			m := message.Message{Type: message.Update, To: to.app.URL(), Body: bodyOf(size)}
			b.ReportAllocs()
			b.SetBytes(int64(size))
			sent := int64(0)
			for ; b.Loop(); sent++ {
				if err := from.app.Post(b.Context(), m); err != nil {
					b.Fatal(err)
				}
			}
			got.wait(sent)
		})
	}
}

func TestAMessageAllocatesLittle(t *testing.T) {
	from, to, got := neighbours(t)
	m := message.Message{Type: message.Update, To: to.app.URL(), Body: bodyOf(100)}
	const n = 20_000
	post := func(upTo int64) {
		for range n {
			if err := from.app.Post(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		got.wait(upTo)
	}
	post(n) // what is allocated once exists now
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	post(2 * n)
	runtime.ReadMemStats(&after)
	if each := float64(after.Mallocs-before.Mallocs) / n; each > 2.5 { // 2 where the session has to keep the message, because the application is behind
		t.Errorf("%.2f allocations a message in both runtimes together", each)
	}
}
