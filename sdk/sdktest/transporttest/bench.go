package transporttest

import (
	"context"
	"fmt"
	"testing"
)

// Benchmark measures one channel between two transports in this process: one way at 100 B (64 frames a Send), 1 KiB
// (16) and 16 KiB (1), and the round trip at 100 B.
func Benchmark(b *testing.B, s Suite) {
	s = s.withDefaults()
	for _, c := range []struct{ size, batch int }{{100, 64}, {1 << 10, 16}, {16 << 10, 1}} {
		b.Run(fmt.Sprintf("%dB", c.size), func(b *testing.B) { s.oneWay(b, c.size, c.batch) })
	}
	b.Run("round trip 100B", s.roundTrip)
}

func (s Suite) oneWay(b *testing.B, size, batch int) {
	p, stop := s.pair(b)
	defer stop()
	ctx := context.Background()
	frames := make([][]byte, batch)
	for i := range frames {
		frames[i] = make([]byte, size)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	sent := make(chan error, 1)
	go func() {
		for left := b.N; left > 0; {
			k := min(left, batch)
			if err := p.a.Send(ctx, frames[:k]...); err != nil {
				sent <- err
				return
			}
			left -= k
		}
		sent <- nil
	}()
	for range b.N {
		if _, err := p.b.Recv(ctx); err != nil {
			b.Fatal(err, <-sent)
		}
	}
	if err := <-sent; err != nil {
		b.Fatal(err)
	}
}

func (s Suite) roundTrip(b *testing.B) {
	p, stop := s.pair(b)
	defer stop()
	ctx := context.Background()
	echoed := make(chan error, 1)
	go func() {
		for range b.N {
			frame, err := p.b.Recv(ctx)
			if err == nil {
				err = p.b.Send(ctx, frame)
			}
			if err != nil {
				echoed <- err
				return
			}
		}
		echoed <- nil
	}()
	frame := make([]byte, 100)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if err := p.a.Send(ctx, frame); err != nil {
			b.Fatal(err)
		}
		if _, err := p.a.Recv(ctx); err != nil {
			b.Fatal(err)
		}
	}
	if err := <-echoed; err != nil {
		b.Fatal(err)
	}
}
