//go:build unix

package stubhost_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// BenchmarkFrames sends frames through a real plug-in process: "in" is one way, "and back" is both. An iteration is
// one frame.
func BenchmarkFrames(b *testing.B) {
	for _, way := range []string{"sink", "echo"} {
		for _, size := range []int{100, 1024} {
			for _, batch := range []int{1, 64} {
				name := fmt.Sprintf("%s/%dB/%d a batch", map[string]string{"sink": "in", "echo": "and back"}[way], size, batch)
				b.Run(name, func(b *testing.B) { benchFrames(b, way, size, batch) })
			}
		}
	}
}

func benchFrames(b *testing.B, way string, size, batch int) {
	done := make(chan struct{}, 1)
	c := newCore(b, func(o *stubhost.Options) {
		o.Frames = func(_ context.Context, _, _ message.URL, frames []sdk.Frame) bool {
			if frames[len(frames)-1].Payload[0] == 'z' {
				done <- struct{}{}
			}
			return true
		}
	})
	a := stubURL("a")
	c.deploy("echo", a)
	door := a.Join("d")
	c.tell(a, map[string]any{"method": "open", "door": door, "value": way})
	frames := make([]sdk.Frame, batch)
	payload := make([]byte, size)
	for i := range frames {
		frames[i].Payload = payload
	}
	last := make([]byte, size)
	last[0] = 'z'
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += batch {
		if err := c.host.Send(b.Context(), a, door, frames[:min(batch, b.N-n)]...); err != nil {
			b.Fatal(err)
		}
	}
	if err := c.host.Send(b.Context(), a, door, sdk.Frame{Payload: last}); err != nil {
		b.Fatal(err)
	}
	<-done
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
}

// BenchmarkRoundTrip sends one frame of 100 bytes and waits for its echo.
func BenchmarkRoundTrip(b *testing.B) {
	back := make(chan struct{}, 1)
	c := newCore(b, func(o *stubhost.Options) {
		o.Frames = func(context.Context, message.URL, message.URL, []sdk.Frame) bool { back <- struct{}{}; return true }
	})
	a := stubURL("a")
	c.deploy("echo", a)
	f := sdk.Frame{Payload: make([]byte, 100)}
	b.ReportAllocs()
	for b.Loop() {
		if err := c.host.Send(b.Context(), a, a, f); err != nil {
			b.Fatal(err)
		}
		<-back
	}
}
