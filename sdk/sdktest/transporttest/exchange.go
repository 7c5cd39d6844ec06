package transporttest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/p2p"
)

// exchangeTime is how long a test may take once its channels are there.
const exchangeTime = 60 * time.Second

// soon is how long what should happen at once may take: the machine may be busy.
const soon = 20 * time.Second

func testSizes(t *testing.T, s Suite) {
	p, stop := s.pair(t)
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), exchangeTime)
	defer cancel()
	noise := make([]byte, sdk.MaxFrame)
	for i := range noise {
		noise[i] = byte(i*31 + i>>8)
	}
	for _, size := range []int{0, 1, 2, 3, 100, 1200, 16383, 16384, 16385, 65535, 65536, 65537, 256 << 10, 1 << 20, sdk.MaxFrame - 1, sdk.MaxFrame} {
		if err := echo(ctx, p.a, p.b, noise[:size]); err != nil {
			t.Fatalf("requester to handler, %d bytes: %v", size, err)
		}
		if err := echo(ctx, p.b, p.a, noise[len(noise)-size:]); err != nil {
			t.Fatalf("handler to requester, %d bytes: %v", size, err)
		}
	}
}

// testTooLarge: a frame above the limit is the sender's error. Whether the channel survives it is left open; a
// part of the frame is never delivered.
func testTooLarge(t *testing.T, s Suite) {
	p, stop := s.pair(t)
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	if err := p.a.Send(ctx, make([]byte, sdk.MaxFrame+1)); err == nil {
		t.Fatalf("a frame of %d bytes was sent, the limit is %d", sdk.MaxFrame+1, sdk.MaxFrame)
	} else if ctx.Err() != nil {
		t.Fatalf("sending a frame above the limit has hung: %v", err)
	}
	if err := p.a.Send(ctx, []byte("after")); err != nil {
		return
	}
	if got, err := p.b.Recv(ctx); err == nil && string(got) != "after" {
		t.Fatalf("a frame of %d bytes arrived that was refused at its sender", len(got))
	}
}

func testOrder(t *testing.T, s Suite) {
	p, stop := s.pair(t)
	defer stop()
	if err := bothWays(p.a, p.b, 20_000, 1); err != nil {
		t.Fatal(err)
	}
}

// bothWays sends n numbered frames in each direction at once, of changing sizes and in batches, and checks them.
func bothWays(a, b p2p.Channel, n int, seed uint64) error {
	ctx, cancel := context.WithTimeout(context.Background(), exchangeTime)
	defer cancel()
	done := make(chan error, 4)
	go func() { done <- sendNumbered(ctx, a, n, seed) }()
	go func() { done <- sendNumbered(ctx, b, n, seed+1) }()
	go func() { done <- recvNumbered(ctx, b, n, seed) }()
	go func() { done <- recvNumbered(ctx, a, n, seed+1) }()
	var first error
	for range 4 {
		if err := <-done; err != nil && first == nil {
			first = err
			cancel()
		}
	}
	return first
}

// numbered is the sequence of frames that a seed stands for.
type numbered struct {
	random *rand.Rand
	next   uint64
}

func newNumbered(seed uint64) *numbered {
	return &numbered{random: rand.New(rand.NewPCG(seed, 0))}
}

// frame fills buf with the next frame: its number, then bytes that depend on it. Most are small, few are large.
func (n *numbered) frame(buf []byte) []byte {
	size := 8 + n.random.IntN(200)
	if n.random.IntN(500) == 0 {
		size = 8 + n.random.IntN(200<<10)
	}
	buf = append(buf[:0], make([]byte, size)...)
	binary.BigEndian.PutUint64(buf, n.next)
	for i := 8; i < size; i++ {
		buf[i] = byte(uint64(i) + n.next)
	}
	n.next++
	return buf
}

func sendNumbered(ctx context.Context, c p2p.Channel, count int, seed uint64) error {
	frames := newNumbered(seed)
	batches := rand.New(rand.NewPCG(seed, 1))
	buffers := make([][]byte, 64)
	for count > 0 {
		k := min(count, 1+batches.IntN(len(buffers)))
		for i := range k {
			buffers[i] = frames.frame(buffers[i])
		}
		// Where the channel is a p2p.Prompt, half of the frames are sent with TrySend, as far as it takes them.
		prompt, ok := c.(p2p.Prompt)
		if !ok || batches.IntN(2) == 0 || !prompt.TrySend(buffers[:k]...) {
			if err := c.Send(ctx, buffers[:k]...); err != nil {
				return fmt.Errorf("Send before frame %d: %w", frames.next, err)
			}
		}
		for i := range k { // the frames are the caller's again
			clear(buffers[i])
		}
		count -= k
	}
	return nil
}

func recvNumbered(ctx context.Context, c p2p.Channel, count int, seed uint64) error {
	frames := newNumbered(seed)
	var want []byte
	for range count {
		want = frames.frame(want)
		got, err := c.Recv(ctx)
		if err != nil {
			return fmt.Errorf("Recv of frame %d: %w", frames.next-1, err)
		}
		if !bytes.Equal(got, want) {
			number := uint64(0)
			if len(got) >= 8 {
				number = binary.BigEndian.Uint64(got)
			}
			return fmt.Errorf("want frame %d of %d bytes, got %d bytes that begin with the number %d", frames.next-1, len(want), len(got), number)
		}
		clear(got) // it belongs to the caller until the next Recv
	}
	return nil
}

// testPrompt: TrySend carries a lone small frame, and takes no more than may be under way.
func testPrompt(t *testing.T, s Suite) {
	p, stop := s.pair(t)
	defer stop()
	prompt, ok := p.a.(p2p.Prompt)
	if !ok {
		t.Skip("it has no TrySend, which is its right")
	}
	ctx, cancel := context.WithTimeout(context.Background(), exchangeTime)
	defer cancel()
	if !prompt.TrySend([]byte("lone")) {
		t.Fatal("a lone small frame on an idle channel is not taken")
	}
	if got, err := p.b.Recv(ctx); err != nil || string(got) != "lone" {
		t.Fatalf("%q, %v", got, err)
	}
	taken, frame := 0, make([]byte, 4<<10)
	for ; taken*len(frame) <= s.Buffered && prompt.TrySend(frame); taken++ {
	}
	if taken*len(frame) > s.Buffered {
		t.Fatalf("%d bytes were taken although the peer does not read; at most %d may be under way", taken*len(frame), s.Buffered)
	}
	for i := range taken { // and nothing of what was not taken
		if got, err := p.b.Recv(ctx); err != nil || len(got) != len(frame) {
			t.Fatalf("frame %d: %d bytes, %v", i, len(got), err)
		}
	}
	if err := p.a.Send(ctx, []byte("end")); err != nil {
		t.Fatal(err)
	}
	if got, err := p.b.Recv(ctx); err != nil || string(got) != "end" {
		t.Fatalf("%q, %v", got, err)
	}
}

// pressed is the size of the frames that are sent to a peer which does not read.
const pressed = 64 << 10

// testBackpressure: the peer does not read. Send has to block, with a bounded amount under way, and to go on when the
// peer reads again.
func testBackpressure(t *testing.T, s Suite) {
	p, stop := s.pair(t)
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), exchangeTime)
	defer cancel()
	progress, finished := make(chan int), make(chan error, 1)
	enough := make(chan struct{})
	go func() {
		defer close(progress)
		finished <- press(ctx, p.a, progress, enough)
	}()
	last, quiet := -1, time.NewTimer(time.Second)
	defer quiet.Stop()
	for blocked := false; !blocked; {
		select {
		case i, ok := <-progress:
			if !ok {
				t.Fatal(<-finished)
			}
			if last = i; (last+1)*pressed > s.Buffered {
				cancel()
				for range progress {
				}
				t.Fatalf("%d bytes were taken although the peer does not read; at most %d may be under way", (last+1)*pressed, s.Buffered)
			}
			quiet.Reset(time.Second)
		case <-quiet.C:
			blocked = true
		}
	}
	t.Logf("the sender blocks after %d KiB", (last+1)*pressed>>10)
	close(enough) // the blocked frame is the last one
	received := make(chan error, 1)
	go func() { received <- receivePressed(ctx, p.b, last+2) }()
	for range progress {
	}
	if err := <-finished; err != nil {
		t.Fatal(err)
	}
	if err := <-received; err != nil {
		t.Fatal(err)
	}
}

// press sends numbered frames until it has had enough, and tells the number of each that was taken.
func press(ctx context.Context, c p2p.Channel, progress chan<- int, enough <-chan struct{}) error {
	frame := make([]byte, pressed)
	for i := 0; ; i++ {
		select {
		case <-enough:
			return nil
		default:
		}
		binary.BigEndian.PutUint64(frame, uint64(i))
		if err := c.Send(ctx, frame); err != nil {
			return fmt.Errorf("Send of frame %d: %w", i, err)
		}
		progress <- i
	}
}

// receivePressed receives the first n frames of press.
func receivePressed(ctx context.Context, c p2p.Channel, n int) error {
	for i := range n {
		got, err := c.Recv(ctx)
		if err != nil {
			return fmt.Errorf("Recv of frame %d: %w", i, err)
		}
		if len(got) != pressed || binary.BigEndian.Uint64(got) != uint64(i) {
			return fmt.Errorf("frame %d is another one", i)
		}
	}
	return nil
}

func testSendGivesUp(t *testing.T, s Suite) {
	p, stop := s.pair(t)
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		frame := make([]byte, 64<<10)
		for {
			if err := p.a.Send(ctx, frame); err != nil {
				done <- err
				return
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(soon):
		t.Error("a blocked Send does not return when its ctx ends")
		stop()
		<-done
	}
}
