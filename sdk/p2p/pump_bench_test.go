package p2p

import (
	"context"
	"io"
	"testing"

	"github.com/protofly/protofly/sdk"
)

// BenchmarkPump is what carrying a frame of 1 KiB from the door to the channel costs, 64 at a time.
func BenchmarkPump(b *testing.B) {
	frames := make([]sdk.Frame, 64)
	for i := range frames {
		frames[i].Payload = make([]byte, 1<<10)
	}
	source := &benchDoor{frames: frames, left: b.N}
	doors := make(chan sdk.Door, 1)
	doors <- source
	b.SetBytes(1 << 10)
	b.ReportAllocs()
	if err := pump(context.Background(), doors, &benchChannel{ended: make(chan struct{})}); err != errDoorClosed {
		b.Fatal(err)
	}
}

// benchDoor gives frames until there are none left.
type benchDoor struct {
	frames []sdk.Frame
	left   int
}

func (d *benchDoor) Recv(context.Context) ([]sdk.Frame, error) {
	if d.left <= 0 {
		return nil, io.EOF
	}
	n := min(d.left, len(d.frames))
	d.left -= n
	return d.frames[:n], nil
}

func (d *benchDoor) Send(context.Context, ...sdk.Frame) error { return nil }
func (d *benchDoor) Close() error                             { return nil }

// benchChannel drops what is sent and receives nothing.
type benchChannel struct{ ended chan struct{} }

func (c *benchChannel) Send(context.Context, ...[]byte) error { return nil }
func (c *benchChannel) Recv(context.Context) ([]byte, error) {
	<-c.ended
	return nil, io.EOF
}

func (c *benchChannel) Close() error {
	close(c.ended)
	return nil
}
