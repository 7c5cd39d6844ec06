package session

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// house is a runtime as far as messages pass through it: its bus and its sessions.
type house struct {
	bus      *bus.MessageBus
	sessions *Sessions
	other    message.URL
}

func (h *house) Resolve(context.Context, message.Message) (bus.Route, error) {
	return bus.Route{Stub: relay.Stub, Door: relay.Door, Remote: h.other}, nil
}

func (h *house) TryResolve(m message.Message) (bus.Route, error) {
	return h.Resolve(context.Background(), m)
}

func (h *house) Forward(ctx context.Context, r bus.Route, m message.Message, _ minibus.Receipt) error {
	return h.sessions.Post(ctx, r.Remote, Path{Door: r.Door, Stub: r.Stub}, m)
}

func (h *house) TryForward(r bus.Route, m message.Message, _ minibus.Receipt) error {
	return h.sessions.TryPost(r.Remote, Path{Door: r.Door, Stub: r.Stub}, m)
}

func (h *house) VerifyLocal(_, _ message.URL) error                     { return nil }
func (h *house) Verify(context.Context, message.URL, message.URL) error { return nil }
func (h *house) TryVerify(message.URL, message.URL) error               { return nil }

func newHouse(self, other person, o Options) *house {
	h := &house{bus: bus.New(bus.Options{Runtime: self.url}), other: other.url}
	h.bus.Connect(bus.Outside{Resolver: h, Forwarder: h, Authority: h})
	o.Self, o.Key = self.url, self.key
	o.Acceptor = h.bus
	h.sessions = New(o)
	return h
}

// BenchmarkBus is from a post on one runtime's bus to the listener at another's: all that a core does with a message but
// its links. The link here is a queue with a goroutine.
func BenchmarkBus(b *testing.B) {
	b.Run("100", func(b *testing.B) { benchmarkBus(b, 40) })
	b.Run("1024", func(b *testing.B) { benchmarkBus(b, 960) })
}

func benchmarkBus(b *testing.B, size int) {
	ctx, end := context.WithCancel(context.Background())
	var links sync.WaitGroup
	var x, y *house
	link := func(o *Options, peer **house, from message.URL) {
		frames, free := make(chan []byte, 64), make(chan []byte, 64)
		for range cap(free) {
			free <- nil
		}
		links.Go(func() {
			for {
				select {
				case f := <-frames:
					(*peer).sessions.Receive(ctx, from, relay, f)
					free <- f
				case <-ctx.Done():
					return
				}
			}
		})
		o.Send = func(_ context.Context, _ Path, _ message.URL, list ...[]byte) error {
			for _, f := range list {
				frames <- append((<-free)[:0], f...)
			}
			return nil
		}
		o.TrySend = func(_ Path, _ message.URL, f []byte) bool {
			select {
			case room := <-free:
				frames <- append(room[:0], f...)
				return true
			default:
				return false
			}
		}
	}
	var ox, oy Options
	link(&ox, &y, alice)
	link(&oy, &x, bob)
	x, y = newHouse(aliceSelf, bobSelf, ox), newHouse(bobSelf, aliceSelf, oy)
	m := letter(123456, size)
	var got atomic.Int64
	y.bus.Listen(m.To, func(context.Context, message.Message) { got.Add(1) })
	b.ReportAllocs()
	n := int64(0)
	for ; b.Loop(); n++ {
		if err := x.bus.Post(ctx, m); err != nil {
			b.Fatal(err)
		}
	}
	if err := x.sessions.Close(ctx); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	y.sessions.Close(ctx)
	x.bus.Close()
	y.bus.Close()
	end()
	links.Wait()
	if got.Load() != n {
		b.Fatalf("%d of %d arrived", got.Load(), n)
	}
}
