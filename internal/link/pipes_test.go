//go:build unix

package link

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/protofly/protofly/internal/busypoll"
	"github.com/protofly/protofly/internal/link/linkpb"
)

// piped is two ends of a link on pipes.
func piped(t testing.TB) *pair {
	t.Helper()
	mine, files, err := PipePair(busypoll.Usual)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := endOf(files[0], files[1], busypoll.Usual)
	if err != nil {
		t.Fatal(err)
	}
	p := &pair{toHost: &controls{}, toPlugin: &controls{}}
	p.host, p.plugin = NewOnPipes(mine, p.toHost), NewOnPipes(theirs, p.toPlugin)
	p.host.Start()
	p.plugin.Start()
	p.end = func() {
		p.host.End()
		p.plugin.End()
		p.host.Wait()
		p.plugin.Wait()
	}
	t.Cleanup(p.end)
	return p
}

// numbered is a frame that has a number.
func numbered(n uint64, size int) Frame {
	b := make([]byte, max(size, 8))
	for i := range b {
		b[i] = byte(n)
	}
	binary.BigEndian.PutUint64(b, n)
	return Frame{Payload: b}
}

func isNumbered(f Frame, n uint64) bool {
	return bytes.Equal(f.Payload, numbered(n, len(f.Payload)).Payload)
}

// TestPipesKeepsOrderAndContent sends frames of all sizes on several lanes, alone and together, to receivers that are
// prompt and others that are not.
func TestPipesKeepsOrderAndContent(t *testing.T) {
	p := piped(t)
	var wg sync.WaitGroup
	const each = 800
	for door := range uint32(6) {
		out, in := p.host.Lane(7, door+1), p.plugin.Lane(7, door+1)
		r := rand.New(rand.NewPCG(2, uint64(door)))
		sizes := []int{1, 100, 5000, 20_000, 70_000, MaxFrame}
		wg.Go(func() {
			for n := uint64(0); n < each; {
				var frames []Frame
				for range min(1+r.IntN(5), int(each-n)) {
					size := sizes[r.IntN(3)]
					if r.IntN(40) == 0 {
						size = sizes[r.IntN(len(sizes))]
					}
					frames = append(frames, numbered(n, size))
					n++
				}
				if r.IntN(2) == 0 {
					if sent, err := out.TrySend(frames...); err != nil {
						t.Error(err)
					} else if sent {
						continue
					}
				}
				if err := out.Send(t.Context(), frames...); err != nil {
					t.Error(err)
					return
				}
				for _, f := range frames {
					clear(f.Payload) // the sender may reuse them
				}
			}
		})
		wg.Go(func() {
			var came uint64
			var inside atomic.Int32
			take := func(frames []Frame) {
				if inside.Add(1) != 1 {
					t.Error("two calls at once")
				}
				for _, f := range frames {
					if !isNumbered(f, came) {
						t.Errorf("door %d: frame %d is another", door, came)
					}
					came++
				}
				inside.Add(-1)
				if came == each {
					in.End()
				}
			}
			var prompt func([]Frame) bool
			if asked := rand.New(rand.NewPCG(3, uint64(door))); door%2 == 0 {
				prompt = func(frames []Frame) bool {
					if asked.IntN(3) == 0 {
						return false
					}
					take(frames)
					return true
				}
			}
			_ = in.Pump(t.Context(), prompt, take)
			if came != each {
				t.Errorf("door %d: %d frames came", door, came)
			}
		})
	}
	wg.Wait()
}

// TestPipesHoldsBack: a lane that nobody receives from holds back its own sender and no other lane; control frames pass.
func TestPipesHoldsBack(t *testing.T) {
	p := piped(t)
	full, other := p.host.Lane(1, 1), p.host.Lane(1, 2)
	slow, quick := p.plugin.Lane(1, 1), p.plugin.Lane(1, 2)
	n := uint64(0)
	for ; ; n++ {
		sent, err := full.TrySend(numbered(n, 10_000))
		if err != nil {
			t.Fatal(err)
		}
		if !sent {
			break
		}
	}
	if bytes := int(n) * 10_000; bytes < Window/2 || bytes > Window+10_000 {
		t.Errorf("%d bytes went before the window was full, want about %d", bytes, Window)
	}
	for i := range uint64(5000) {
		if err := other.Send(t.Context(), numbered(i, 500)); err != nil {
			t.Fatal(err)
		}
		frames, err := quick.Recv(t.Context())
		if err != nil || len(frames) != 1 || !isNumbered(frames[0], i) {
			t.Fatal("another lane does not go on", len(frames), err)
		}
	}
	p.host.Control(&linkpb.Frame{Instance: 3, Kind: &linkpb.Frame_Stop{Stop: &linkpb.Stop{}}})
	if err := other.Send(t.Context(), numbered(0, 1)); err != nil { // it follows
		t.Fatal(err)
	}
	if _, err := quick.Recv(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(p.toPlugin.all) != 1 {
		t.Errorf("%d control frames came, want 1", len(p.toPlugin.all))
	}
	for came := uint64(0); came < n; {
		frames, err := slow.Recv(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range frames {
			if !isNumbered(f, came) {
				t.Fatalf("frame %d is another", came)
			}
			came++
		}
	}
	if err := full.Send(t.Context(), numbered(n, 10)); err != nil {
		t.Error("there is room again:", err)
	}
	if sent, err := full.TrySend(); !sent || err != nil {
		t.Error("nothing to send:", sent, err)
	}
}

// TestPipesEnd: frames that were sent before an orderly end arrive, then the other end notices the end.
func TestPipesEnd(t *testing.T) {
	p := piped(t)
	out, in := p.plugin.Lane(1, 1), p.host.Lane(1, 1)
	for n := range uint64(50) {
		if err := out.Send(t.Context(), numbered(n, 15_000)); err != nil {
			t.Fatal(err)
		}
	}
	p.plugin.Flush(t.Context())
	p.plugin.End()
	came := uint64(0)
	for {
		frames, err := in.Recv(t.Context())
		if err != nil {
			break
		}
		for _, f := range frames {
			if !isNumbered(f, came) {
				t.Fatalf("frame %d is another", came)
			}
			came++
		}
	}
	if came != 50 {
		t.Errorf("%d frames came, want 50", came)
	}
	select {
	case <-p.host.Done():
	case <-time.After(10 * time.Second):
		t.Error("the other end does not know")
	}
	if err := p.host.Err(); err != nil {
		t.Error("it ended in order:", err)
	}
	if err := in.Send(t.Context(), numbered(0, 1)); !errors.Is(err, ErrClosed) {
		t.Error("sending on it:", err)
	}
}

// TestPipesHalfClosed: an end that does not read any more, but keeps its other pipe open, does not keep the link alive.
func TestPipesHalfClosed(t *testing.T) {
	mine, files, err := PipePair(busypoll.Usual)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = files[1].Close() }()
	c := NewOnPipes(mine, &controls{})
	c.Start()
	_ = files[0].Close()
	if err := c.Lane(1, 1).Send(t.Context(), numbered(1, 100)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.Done():
	case <-time.After(20 * time.Second):
		t.Error("the link goes on")
		c.End()
	}
	c.Wait()
}

// TestPipesBrokenRules: bytes that are not frames end the link, with the reason, before memory is spent on them.
func TestPipesBrokenRules(t *testing.T) {
	huge := protowire.AppendVarint(protowire.AppendTag(nil, batchFrames, protowire.BytesType), MaxBatch+1)
	for name, bad := range map[string][]byte{
		"too large": huge,
		"a varint":  protowire.AppendVarint(protowire.AppendTag(nil, batchFrames, protowire.VarintType), 1),
		"no tag":    bytes.Repeat([]byte{0xff}, 32),
	} {
		t.Run(name, func(t *testing.T) {
			mine, files, err := PipePair(busypoll.Usual)
			if err != nil {
				t.Fatal(err)
			}
			c := NewOnPipes(mine, &controls{})
			c.Start()
			if _, err := files[1].Write(bad); err != nil {
				t.Fatal(err)
			}
			<-c.Done()
			var broken *ProtocolError
			if !errors.As(c.Err(), &broken) {
				t.Errorf("it ended with %v", c.Err())
			}
			c.Wait()
			_ = files[0].Close()
			_ = files[1].Close()
		})
	}
}

// TestStoreKeepsNothing: a lane that was emptied holds no memory.
func TestStoreKeepsNothing(t *testing.T) {
	var s store
	var of []*block
	for range 100 {
		_, k := s.keep(make([]byte, 5000))
		of = append(of, k)
	}
	for _, k := range of {
		s.release(k)
	}
	if s.filling != nil {
		t.Error("a block is kept")
	}
	if b, k := s.keep(make([]byte, blockSize+1)); len(b) != blockSize+1 || k == s.filling {
		t.Error("what is larger than a block is not on its own")
	}
}

// TestStoreReusesBlocks: a store that was emptied allocates nothing when it is filled again.
func TestStoreReusesBlocks(t *testing.T) {
	var s store
	of := make([]*block, 0, 100)
	small, large := make([]byte, 100), make([]byte, blockSize+1)
	if n := testing.AllocsPerRun(100, func() {
		for range cap(of) / 2 {
			for _, b := range [][]byte{small, large} {
				_, k := s.keep(b)
				of = append(of, k)
			}
		}
		for _, k := range of {
			s.release(k)
		}
		of = of[:0]
	}); n > 40 { // 0, except with the race detector: then a pool drops one in four
		t.Errorf("%v allocations for 100 frames", n)
	}
}

func FuzzNextField(f *testing.F) {
	f.Add(appendFrame(nil, 1, 2, Frame{Payload: []byte("x")}))
	f.Add(appendCredit(nil, 1, 2, 3))
	f.Add([]byte{0x0a})
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, size, err := nextField(b)
		if err == nil && (size > MaxBatch+16 || frame != nil && size > len(b)) {
			t.Errorf("%d bytes of %d", size, len(b))
		}
		if err == nil && frame != nil {
			var r reader
			_ = parseFrame(frame, &r.parsed)
		}
	})
}

func BenchmarkLane(b *testing.B) {
	for _, size := range []int{100, 1 << 10, 16 << 10, 256 << 10} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			p := piped(b)
			out, in := p.host.Lane(1, 1), p.plugin.Lane(1, 1)
			frames := make([]Frame, max(1, min(64, 64<<10/size)))
			for i := range frames {
				frames[i] = numbered(uint64(i), size)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				for n := 0; n < b.N; {
					got, err := in.Recv(b.Context())
					if err != nil {
						b.Error(err)
						return
					}
					n += len(got)
				}
			}()
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += len(frames) {
				if err := out.Send(b.Context(), frames[:min(len(frames), b.N-n)]...); err != nil {
					b.Fatal(err)
				}
			}
			<-done
		})
	}
}
