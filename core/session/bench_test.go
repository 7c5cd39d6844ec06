package session

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// small is a message of about 100 bytes in binary form.
func small() message.Message {
	m := letter(123456, 40)
	if n := len(m.AppendBinary(nil)); n < 90 || n > 115 {
		panic(n)
	}
	return m
}

// BenchmarkPost is the sending side alone: numbering, ring, packing, checksum, acknowledgements.
func BenchmarkPost(b *testing.B) {
	var s *Sessions
	var ackFrame, body []byte
	reports := uint64(1)
	var peer *handshake.Keys
	o := Options{}.withDefaults()
	s = New(Options{
		Self: alice, Key: aliceSelf.key, Incarnation: 1, Acceptor: taking(func(context.Context, message.URL, message.Message) {}),
		Send: func(ctx context.Context, path Path, _ message.URL, frames ...[]byte) error {
			for _, f := range frames { // acknowledge everything at once, without allocating
				h, _ := wire.ParseHead(f)
				text, _ := handshake.Unseal(peer.In.Of(h.Epoch), f)
				peer.In.Take(h)
				got, messages, err := wire.ParseFields(text)
				if err != nil {
					continue
				}
				e, _ := wire.Measure(messages, 0)
				n := e.Count
				reply := wire.Fields{Gen: 1, Seen: got.Gen, Next: got.First + n, Room: 12 << 20, Base: reports, First: reports, Epoch: uint64(h.Epoch), Inbox: 12 << 20}
				h = wire.Head{Kind: wire.Data, From: 2, To: 1}
				aead := peer.Out.Stamp(&h, o.keyLimits(), 0)
				ackFrame = reply.Append(wire.AppendHead(ackFrame[:0], h))
				if n > 0 { // and all of it is taken
					reports++
					body = binary.BigEndian.AppendUint64(body[:0], 1)
					body = binary.AppendUvarint(binary.AppendUvarint(binary.AppendUvarint(body, 200), got.First), n)
					ackFrame = append(append(ackFrame, 0, wire.RecordTaken, byte(len(body))), body...)
				}
				ackFrame = handshake.Seal(aead, ackFrame)
				s.Receive(ctx, bob, path, ackFrame)
			}
			return nil
		},
	})
	peer = s.lookup(bob).marry(2)
	m := small()
	b.SetBytes(int64(len(m.AppendBinary(nil))))
	ctx := context.Background()
	for range 100_000 { // the ring has its size
		s.Post(ctx, bob, relay, m)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Post(ctx, bob, relay, m); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	s.Close(ctx)
}

// BenchmarkReceive is the receiving side alone, 300 messages a frame, up to Options.Acceptor.
func BenchmarkReceive(b *testing.B) {
	const perFrame = 300
	var got atomic.Int64
	room := make(chan struct{}, 1)
	s := New(Options{
		Self: alice, Key: aliceSelf.key, Incarnation: 1,
		Send: func(context.Context, Path, message.URL, ...[]byte) error { return nil },
		Acceptor: taking(func(context.Context, message.URL, message.Message) {
			if got.Add(1)%perFrame == 0 {
				notify(room)
			}
		}),
	})
	peer, o := s.lookup(bob).marry(2), Options{}.withDefaults()
	m := small()
	b.SetBytes(int64(len(m.AppendBinary(nil))))
	messages := items(slices.Repeat([]message.Message{m}, perFrame)...)
	var frame []byte
	sent := int64(0)
	ctx := context.Background()
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%perFrame != 0 {
			continue
		}
		for sent-got.Load() > 16*perFrame {
			<-room
		}
		f := wire.Fields{Gen: 1, Next: 1, Base: 1, First: uint64(sent) + 1}
		h := wire.Head{Kind: wire.Data, From: 2, To: 1}
		aead := peer.Out.Stamp(&h, o.keyLimits(), len(messages))
		frame = handshake.Seal(aead, append(f.Append(wire.AppendHead(frame[:0], h)), messages...))
		s.Receive(ctx, bob, relay, frame)
		sent += perFrame
	}
	for got.Load() < sent {
		<-room
	}
	b.StopTimer()
	b.ReportMetric(float64(len(messages))/perFrame, "B/msg")
	s.Close(ctx)
}

// BenchmarkBoth is from Post to Deliver in one process: both sides with all their goroutines, and the frames between
// them.
func BenchmarkBoth(b *testing.B) {
	for _, size := range []int{100, 1 << 10, 16 << 10, 256 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			m := small()
			if size > 100 {
				m = letter(123456, size)
			}
			b.SetBytes(int64(len(m.AppendBinary(nil))))
			benchmarkBoth(b, m)
		})
	}
}

func benchmarkBoth(b *testing.B, m message.Message) {
	var x, y *Sessions
	var got atomic.Int64
	to := func(peer **Sessions, from message.URL) func(context.Context, Path, message.URL, ...[]byte) error {
		return func(ctx context.Context, path Path, _ message.URL, frames ...[]byte) error {
			for _, f := range frames {
				(*peer).Receive(ctx, from, path, f)
			}
			return nil
		}
	}
	nothing := taking(func(context.Context, message.URL, message.Message) {})
	x = New(Options{Self: alice, Key: aliceSelf.key, Send: to(&y, alice), Acceptor: nothing})
	y = New(Options{Self: bob, Key: bobSelf.key, Send: to(&x, bob), Acceptor: taking(func(context.Context, message.URL, message.Message) { got.Add(1) })})
	ctx := context.Background()
	b.ReportAllocs()
	n := int64(0)
	for ; b.Loop(); n++ {
		if err := x.Post(ctx, bob, relay, m); err != nil {
			b.Fatal(err)
		}
	}
	if err := x.Close(ctx); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	y.Close(ctx)
	if got.Load() != n {
		b.Fatalf("%d of %d arrived", got.Load(), n)
	}
}

// BenchmarkRoundTrip is a message and its answer, one after the other, with a goroutine for each direction of the link: as
// it is where posters cannot send themselves, and where they can.
func BenchmarkRoundTrip(b *testing.B) {
	for name, tries := range map[string]bool{"woken": false, "inline": true} {
		b.Run(name, func(b *testing.B) { benchmarkRoundTrip(b, tries) })
	}
}

func benchmarkRoundTrip(b *testing.B, tries bool) {
	ctx, end := context.WithCancel(context.Background())
	var links sync.WaitGroup
	var x, y *Sessions
	link := func(o *Options, peer **Sessions, from message.URL) {
		frames, free := make(chan []byte, 64), make(chan []byte, 64)
		for range cap(free) {
			free <- nil
		}
		put := func(f []byte) { frames <- append((<-free)[:0], f...) }
		links.Go(func() {
			for {
				select {
				case f := <-frames:
					(*peer).Receive(ctx, from, relay, f)
					free <- f
				case <-ctx.Done():
					return
				}
			}
		})
		o.Send = func(_ context.Context, _ Path, _ message.URL, list ...[]byte) error {
			for _, f := range list {
				put(f)
			}
			return nil
		}
		if tries {
			o.TrySend = func(_ Path, _ message.URL, f []byte) bool {
				put(f)
				return true
			}
		}
	}
	back := make(chan struct{}, 1)
	m := small()
	ox, oy := Options{Self: alice, Key: aliceSelf.key}, Options{Self: bob, Key: bobSelf.key}
	ox.Acceptor = taking(func(context.Context, message.URL, message.Message) { back <- struct{}{} })
	oy.Acceptor = taking(func(ctx context.Context, _ message.URL, _ message.Message) { y.Post(ctx, alice, relay, m) })
	link(&ox, &y, alice)
	link(&oy, &x, bob)
	x, y = New(ox), New(oy)
	round := func() {
		x.Post(ctx, bob, relay, m)
		<-back
	}
	round()
	b.ReportAllocs()
	for b.Loop() {
		round()
	}
	b.StopTimer()
	x.Close(ctx)
	y.Close(ctx)
	end()
	links.Wait()
}
