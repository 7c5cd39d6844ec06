package link

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/protofly/protofly/internal/link/linkpb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipe is one end of a stream in memory that goes through the real codec.
type pipe struct {
	codec codec
	in    <-chan []byte
	out   chan<- []byte
	ctx   context.Context
}

func newPipes(ctx context.Context) (a, b *pipe) {
	ab, ba := make(chan []byte, 1), make(chan []byte, 1)
	c := newCodec()
	return &pipe{c, ba, ab, ctx}, &pipe{c, ab, ba, ctx}
}

func (p *pipe) SendMsg(m any) error {
	data, err := p.codec.Marshal(m)
	if err != nil {
		return err
	}
	b := data.Materialize()
	data.Free()
	select {
	case p.out <- b:
		return nil
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

func (p *pipe) RecvMsg(m any) error {
	select {
	case b := <-p.in:
		return p.codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, m)
	case <-p.ctx.Done():
		return io.EOF
	}
}

// controls keeps control frames.
type controls struct {
	mu  sync.Mutex
	all []*linkpb.Frame
}

func (c *controls) Control(f *linkpb.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, f)
	return nil
}

// pair is two ends of a link.
type pair struct {
	host, plugin         *Conn
	toHost, toPlugin     *controls
	hostPipe, pluginPipe *pipe
	end                  func()
}

func newPair() *pair {
	ctx, cancel := context.WithCancel(context.Background())
	p := &pair{toHost: &controls{}, toPlugin: &controls{}}
	p.hostPipe, p.pluginPipe = newPipes(ctx)
	p.host, p.plugin = New(p.hostPipe, p.toHost), New(p.pluginPipe, p.toPlugin)
	p.host.Start()
	p.plugin.Start()
	p.end = func() {
		cancel()
		p.host.Wait()
		p.plugin.Wait()
	}
	return p
}

func TestLanesKeepOrderAndContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair()
		defer p.end()
		var wg sync.WaitGroup
		for door := range uint32(5) {
			out, in := p.host.Lane(1, door), p.plugin.Lane(1, door)
			r := rand.New(rand.NewPCG(1, uint64(door)))
			var want [][]byte
			for range 300 {
				b := make([]byte, r.IntN(30000))
				for i := range b {
					b[i] = byte(r.Uint32())
				}
				want = append(want, b)
			}
			wg.Go(func() {
				for i := 0; i < len(want); i += 3 {
					var frames []Frame
					for _, b := range want[i : i+3] {
						frames = append(frames, Frame{Payload: bytes.Clone(b)})
					}
					if err := out.Send(t.Context(), frames...); err != nil {
						t.Error(err)
					}
					for _, f := range frames {
						clear(f.Payload) // the sender may reuse them
					}
				}
			})
			wg.Go(func() {
				for n := 0; n < len(want); {
					frames, err := in.Recv(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					for _, f := range frames {
						if !bytes.Equal(f.Payload, want[n]) {
							t.Errorf("door %d: frame %d is another", door, n)
						}
						n++
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestWindowHoldsBackOneLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair()
		defer p.end()
		slow, quick := p.host.Lane(1, 1), p.host.Lane(1, 2)
		slowIn, quickIn := p.plugin.Lane(1, 1), p.plugin.Lane(1, 2)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		f := Frame{Payload: make([]byte, 1000-frameCost)}
		sent := 0
		for slow.Send(ctx, f) == nil {
			sent++
		}
		if want := Window/1000 + 1; sent != want {
			t.Errorf("%d frames went into the window, want %d", sent, want)
		}
		for range 5000 {
			if err := quick.Send(t.Context(), f); err != nil {
				t.Fatal(err)
			}
			if _, err := quickIn.Recv(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		got := 0
		for got < sent {
			frames, err := slowIn.Recv(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got += len(frames)
		}
		_, _ = slowIn.Recv(ctx)
		if err := slow.Send(t.Context(), f); err != nil {
			t.Errorf("emptied, the lane does not take more: %v", err)
		}
		synctest.Wait()
		// The last frame of each lane belongs to its receiver until the next Recv.
		if n := p.plugin.waiting.Load(); n != int64(2*Cost(f)) {
			t.Errorf("%d bytes are said to wait, want %d", n, 2*Cost(f))
		}
	})
}

func TestEmptyFramesAreBoundedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair()
		defer p.end()
		out := p.host.Lane(1, 1)
		p.plugin.Lane(1, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		sent := 0
		for out.Send(ctx, Frame{}) == nil {
			sent++
		}
		if sent != Window/frameCost {
			t.Errorf("%d empty frames, want %d", sent, Window/frameCost)
		}
	})
}

func TestEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair()
		out, in := p.host.Lane(1, 1), p.plugin.Lane(1, 1)
		if err := out.Send(t.Context(), Frame{Payload: []byte("last")}); err != nil {
			t.Fatal(err)
		}
		if err := out.Send(t.Context(), Frame{Payload: make([]byte, MaxFrame+1)}); !errors.Is(err, ErrTooLarge) {
			t.Errorf("too large: %v", err)
		}
		p.host.Flush(t.Context())
		synctest.Wait()
		p.end()
		if frames, err := in.Recv(t.Context()); err != nil || string(frames[0].Payload) != "last" {
			t.Errorf("what had arrived: %v, %v", frames, err)
		}
		if _, err := in.Recv(t.Context()); err != io.EOF {
			t.Errorf("after the end: %v", err)
		}
		if err := out.Send(t.Context(), Frame{}); !errors.Is(err, ErrClosed) {
			t.Errorf("send after the end: %v", err)
		}
		if err := p.host.Lane(2, 0).Send(t.Context(), Frame{}); !errors.Is(err, ErrClosed) {
			t.Errorf("a lane made after the end: %v", err)
		}
		if err := p.host.Err(); err != nil {
			t.Errorf("an orderly end: %v", err)
		}
	})
}

func TestClosedLaneWakesItsUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair()
		defer p.end()
		full, empty := p.host.Lane(1, 1), p.host.Lane(1, 2)
		p.plugin.Lane(1, 1)
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				if err := full.Send(t.Context(), Frame{Payload: make([]byte, 10000)}); err != nil {
					if !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
					return
				}
			}
		})
		wg.Go(func() {
			if _, err := empty.Recv(t.Context()); err != io.EOF {
				t.Error(err)
			}
		})
		synctest.Wait()
		full.Close()
		empty.Close()
		wg.Wait()
	})
}

// TestUnknownFramesAreIgnored sends kinds and fields that version 1 does not have, on purpose: a newer side may.
func TestUnknownFramesAreIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair()
		defer p.end()
		in := p.plugin.Lane(1, 1)
		future := []byte{}
		future = appendLen(future, batchFrames, 6)
		future = appendVarint(future, frameInstance, 1)
		future = append(appendLen(future, 99, 1), 'x') // a kind of two bytes' tag
		future = appendLen(future, 2, 3)               // a field of the batch
		future = append(future, "abc"...)
		future = appendFrame(future, 1, 1, Frame{Payload: []byte("known")})
		if err := p.hostPipe.SendMsg(&outBatch{data: &future}); err != nil {
			t.Fatal(err)
		}
		frames, err := in.Recv(t.Context())
		if err != nil || string(frames[0].Payload) != "known" {
			t.Errorf("after unknown frames: %v, %v, %v", frames, err, p.plugin.Err())
		}
	})
}

func TestBrokenRulesEndTheLink(t *testing.T) {
	raw := func(f *linkpb.Frame) []byte {
		b, err := proto.Marshal(&linkpb.Batch{Frames: []*linkpb.Frame{f}})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	credit := func(n uint64) []byte {
		return raw(&linkpb.Frame{Instance: 1, Kind: &linkpb.Frame_Credit{Credit: &linkpb.Credit{Door: 1, Bytes: n}}})
	}
	data := func(d *linkpb.Data) []byte {
		return raw(&linkpb.Frame{Instance: 1, Kind: &linkpb.Frame_Data{Data: d}})
	}
	var flood []byte
	for range 3 {
		flood = append(flood, data(&linkpb.Data{Door: 1, Payload: make([]byte, MaxFrame)})...)
	}
	for _, c := range []struct {
		name, says string
		batch      []byte
	}{
		{"no protobuf", "tag", []byte{0xff}},
		{"cut off", "field 1", []byte{0x0a, 200, 1, 2}},
		{"no control frame", "control frame", []byte{0x0a, 3, frameHello<<3 | 2, 1, 0xff}},
		{"credit out of nothing", "credit", credit(1)},
		{"credit that overflows", "credit", credit(1 << 63)},
		{"data on door 0", "door 0", data(&linkpb.Data{})},
		{"a frame that is too large", "at most", data(&linkpb.Data{Door: 1, Payload: make([]byte, MaxFrame+1)})},
		{"more than the window", "window", flood},
		{"a peer that is no address", "peer", data(&linkpb.Data{Door: 1, Peer: "nobody"})},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair()
				defer p.end()
				p.plugin.Lane(1, 1)
				if err := p.hostPipe.SendMsg(&outBatch{data: &c.batch}); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				var broken *ProtocolError
				if err := p.plugin.Err(); !errors.As(err, &broken) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("got %v, want %q", err, c.says)
				}
			})
		})
	}
}
