package bus_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// benchSizes are the sizes of bodies, in bytes. Posting a message copies none of them.
var benchSizes = []int{100, 1 << 10, 16 << 10, 256 << 10}

func bodyOf(n int) json.RawMessage {
	return json.RawMessage(`{"value":"` + strings.Repeat("x", n-len(`{"value":""}`)) + `"}`)
}

// elsewhere is a world in which all other addresses are at one remote runtime, which takes everything at once.
type elsewhere struct {
	outside
	taken int
}

func (e *elsewhere) Forward(context.Context, bus.Route, message.Message, minibus.Receipt) error {
	e.taken++
	return nil
}

func (e *elsewhere) TryForward(bus.Route, message.Message, minibus.Receipt) error {
	e.taken++
	return nil
}

func openBench(b *testing.B) (*bus.MessageBus, *elsewhere) {
	var e elsewhere
	m := bus.New(bus.Options{Runtime: home})
	m.Connect(bus.Outside{Resolver: &e, Forwarder: &e, Authority: &e})
	b.Cleanup(m.Close)
	return m, &e
}

// counter counts the messages that were taken, and lets the benchmark wait for all of them.
type counter struct {
	n    atomic.Int64
	want atomic.Int64 // 0: nobody waits yet
	all  chan struct{}
}

func newCounter() *counter { return &counter{all: make(chan struct{}, 1)} }

func (c *counter) one() {
	if n := c.n.Add(1); n == c.want.Load() {
		c.all <- struct{}{}
	}
}

func (c *counter) wait(n int64) {
	c.want.Store(n)
	if c.n.Load() < n {
		<-c.all
	}
}

// Settled counts; receipts call it.
func (c *counter) Settled(uint64, uint32, int) { c.one() }

// Failed does not happen.
func (c *counter) Failed(uint64, uint32, message.Message, error) {}

// BenchmarkLocal posts to a listener in this runtime, and ends with its handler.
func BenchmarkLocal(b *testing.B) {
	for _, size := range benchSizes[:2] {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			home, _ := openBench(b)
			got := newCounter()
			home.Listen(alice, func(context.Context, message.Message) { got.one() })
			m := message.Message{Type: message.Update, From: alice, To: alice, Body: bodyOf(size)}
			b.ReportAllocs()
			b.SetBytes(int64(size))
			sent := int64(0)
			for ; b.Loop(); sent++ {
				if err := home.From(b.Context(), alice, m); err != nil {
					b.Fatal(err)
				}
			}
			got.wait(sent)
		})
	}
}

// BenchmarkRemote posts to another runtime, and ends with the way out.
func BenchmarkRemote(b *testing.B) {
	for _, size := range benchSizes[:2] {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			home, e := openBench(b)
			m := message.Message{Type: message.Update, From: alice, To: bob, Body: bodyOf(size)}
			b.ReportAllocs()
			b.SetBytes(int64(size))
			sent := 0
			for ; b.Loop(); sent++ {
				if err := home.From(b.Context(), alice, m); err != nil {
					b.Fatal(err)
				}
			}
			if e.taken != sent {
				b.Fatalf("%d of %d left", e.taken, sent)
			}
		})
	}
}

// BenchmarkArrive takes what a remote runtime sent, without waiting as a session does, and ends with the listener's handler.
func BenchmarkArrive(b *testing.B) {
	for _, size := range benchSizes[:2] {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			home, _ := openBench(b)
			got := newCounter()
			home.ListenApart(alice, func(_ context.Context, _ message.Message, r minibus.Receipt) { r.Taken() })
			a := []minibus.Delivery{{Message: message.Message{ID: message.NumberID(1), Type: message.Update, From: bob, To: alice, Body: bodyOf(size)},
				Receipt: minibus.Receipt{By: got, Cost: uint32(size)}}}
			b.ReportAllocs()
			b.SetBytes(int64(size))
			sent := int64(0)
			for ; b.Loop(); sent++ {
				if home.TryAccept(away, a) == 0 {
					home.Accept(b.Context(), away, &a[0])
				}
			}
			got.wait(sent)
		})
	}
}

// BenchmarkRequest is a request to a listener in this runtime, which answers at once, and its answer.
func BenchmarkRequest(b *testing.B) {
	for _, size := range benchSizes[:2] {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			home, _ := openBench(b)
			home.Listen(bob, func(ctx context.Context, m message.Message) {
				_ = home.Post(ctx, m.Respond(message.CodeOK, nil))
			})
			m := message.Message{Type: message.Read, From: alice, To: bob, Body: bodyOf(size)}
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				if answer, err := home.Request(b.Context(), m); err != nil || answer.Type != message.Response {
					b.Fatal(answer, err)
				}
			}
		})
	}
}
