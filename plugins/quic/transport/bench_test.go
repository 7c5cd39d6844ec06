package transport

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"
)

// The channel beside the bare stream that it runs on: same sockets, same windows, same sizes. The difference is the cost of
// framing.

var benchmarkSizes = []struct{ size, batch int }{{100, 64}, {1 << 10, 16}, {1 << 10, 64}, {16 << 10, 1}, {16 << 10, 4}}

func BenchmarkChannel(b *testing.B) {
	for _, c := range benchmarkSizes {
		b.Run(fmt.Sprintf("%dBx%d", c.size, c.batch), func(b *testing.B) {
			x, y := connected(b, start(b, ""), start(b, ""))
			ctx := within(b, 10*time.Minute)
			frames := make([][]byte, c.batch)
			for i := range frames {
				frames[i] = make([]byte, c.size)
			}
			b.SetBytes(int64(c.size))
			b.ReportAllocs()
			b.ResetTimer()
			sent := make(chan error, 1)
			go func() {
				for left := b.N; left > 0; {
					n := min(left, c.batch)
					if err := x.Send(ctx, frames[:n]...); err != nil {
						sent <- err
						return
					}
					left -= n
				}
				sent <- nil
			}()
			for range b.N {
				if _, err := y.Recv(ctx); err != nil {
					b.Fatal(err)
				}
			}
			if err := <-sent; err != nil {
				b.Fatal(err)
			}
			reportRate(b)
		})
	}
}

func BenchmarkBareStream(b *testing.B) {
	for _, c := range benchmarkSizes {
		b.Run(fmt.Sprintf("%dBx%d", c.size, c.batch), func(b *testing.B) {
			x, y := connected(b, start(b, ""), start(b, ""))
			out, in := x.(*channel).stream, y.(*channel).stream
			b.SetBytes(int64(c.size))
			b.ReportAllocs()
			b.ResetTimer()
			sent := make(chan error, 1)
			go func() {
				data := make([]byte, c.size*c.batch)
				for left := b.N * c.size; left > 0; {
					n, err := out.Write(data[:min(left, len(data))])
					if err != nil {
						sent <- err
						return
					}
					left -= n
				}
				sent <- nil
			}()
			if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, io.LimitReader(in, int64(b.N*c.size)), make([]byte, 256<<10)); err != nil {
				b.Fatal(err)
			}
			if err := <-sent; err != nil {
				b.Fatal(err)
			}
			reportRate(b)
		})
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	x, y := connected(b, start(b, ""), start(b, ""))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		for {
			frame, err := y.Recv(ctx)
			if err != nil || y.Send(ctx, frame) != nil {
				return
			}
		}
	}()
	frame := make([]byte, 100)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if err := x.Send(ctx, frame); err != nil {
			b.Fatal(err)
		}
		if _, err := x.Recv(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSetUp(b *testing.B) {
	a, h := start(b, ""), start(b, "")
	b.ReportAllocs()
	for range b.N {
		wa, wb := newWires()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		x, y := both(ctx, a, h, wa, wb)
		cancel()
		if x.err != nil || y.err != nil {
			b.Fatal(x.err, y.err)
		}
		_ = x.channel.Close()
	}
}

func reportRate(b *testing.B) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
}
