package session

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/protofly/protofly/core/apps/inprocess"
	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// place is an application's in a house.
type place struct {
	url  message.URL
	stop func()
}

func (p *place) URL() message.URL                            { return p.url }
func (p *place) Post(context.Context, message.Message) error { return nil }
func (p *place) Close(context.Context) error                 { p.stop(); return nil }
func (p *place) Release(ctx context.Context) error           { return p.Close(ctx) }
func (p *place) PostTracked(context.Context, message.Message, func(hyperty.Outcome)) error {
	return nil
}

// BenchmarkArrival is all that a runtime does with a message that it receives, between the link and the handler of an
// application in its process, whose body has so many bytes: in frames as they come under load.
func BenchmarkArrival(b *testing.B) {
	for _, size := range []int{100, 1 << 10, 16 << 10, 256 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) { benchmarkArrival(b, size) })
	}
}

func benchmarkArrival(b *testing.B, size int) {
	m := letter(123456, size)
	perFrame := max(1, (32<<10)/(size+20))
	var got atomic.Int64
	room := make(chan struct{}, 1)
	h := newHouse(aliceSelf, bobSelf, Options{Incarnation: 1, InboxBytes: 1 << 30, Totals: Totals{Bytes: 1 << 30}, Send: func(context.Context, Path, message.URL, ...[]byte) error { return nil }})
	app, err := inprocess.New(b.Context(), alice, func(_ context.Context, to minibus.Receiver) (inprocess.Attachment, error) {
		return &place{m.To, h.bus.ListenThrough(m.To, to)}, nil
	})
	if err != nil {
		b.Fatal(err)
	}
	app.Handle(func(context.Context, hyperty.Received) {
		if got.Add(1)%int64(perFrame) == 0 {
			notify(room)
		}
	})
	peer, o := h.sessions.lookup(bob).marry(2), Options{}.withDefaults()
	messages := items(slices.Repeat([]message.Message{m}, perFrame)...)
	var frame []byte
	sent, ctx := int64(0), context.Background()
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%perFrame != 0 {
			continue
		}
		for sent-got.Load() > int64(8*perFrame) {
			<-room
		}
		f := wire.Fields{Gen: 1, Next: 1, Base: 1, First: uint64(sent) + 1}
		head := wire.Head{Kind: wire.Data, From: 2, To: 1}
		aead := peer.Out.Stamp(&head, o.keyLimits(), len(messages))
		frame = handshake.Seal(aead, append(f.Append(wire.AppendHead(frame[:0], head)), messages...))
		h.sessions.Receive(ctx, bob, relay, frame)
		sent += int64(perFrame)
	}
	for got.Load() < sent {
		<-room
	}
	b.StopTimer()
	now, cancel := context.WithCancel(ctx)
	cancel()
	h.sessions.Close(now) // nobody acknowledges that messages were taken
	app.Close(ctx)
	h.bus.Close()
}
