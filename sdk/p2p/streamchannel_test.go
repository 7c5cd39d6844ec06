package p2p

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk"
)

// piped are two channels on a connection in memory, which has no buffer.
func piped(t *testing.T, o StreamOptions) (a, b *StreamChannel) {
	x, y := net.Pipe()
	o.Name = "pipe"
	a, b = NewStreamChannel(x, o), NewStreamChannel(y, o)
	t.Cleanup(func() {
		_ = a.Close()
		_ = b.Close()
	})
	return a, b
}

func TestStreamCarriesFramesOfEverySize(t *testing.T) {
	for name, o := range map[string]StreamOptions{
		"fixed": {}, "varint": {Lengths: VarintLengths}, "signs of life": {Silence: time.Minute},
		"small writes": {WriteSize: 1000, ReadSize: 3000}, "writes of a prime": {WriteSize: 61, Lengths: VarintLengths},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := piped(t, o)
			ctx := context.Background()
			sizes := []int{0, 1, 127, 128, 996, 997, 1000, 1001, usualSize - maxLength, usualSize, usualSize + 1, 0, 7, sdk.MaxFrame}
			var all [][]byte
			for i, n := range sizes {
				all = append(all, bytes.Repeat([]byte{byte(i + 1)}, n))
			}
			var sent error
			var sender sync.WaitGroup
			sender.Go(func() {
				if sent = a.Send(ctx, all...); sent == nil {
					sent = a.Send(ctx, all[1])
				}
			})
			for i, want := range append(all, all[1]) {
				if got, err := b.Recv(ctx); err != nil || !bytes.Equal(got, want) {
					t.Fatalf("frame %d: %d bytes, %v", i, len(got), err)
				}
			}
			sender.Wait()
			if sent != nil {
				t.Fatal(sent)
			}
		})
	}
}

func TestStreamRefusesLargeFrames(t *testing.T) {
	a, _ := piped(t, StreamOptions{})
	if err := a.Send(context.Background(), []byte("x"), make([]byte, sdk.MaxFrame+1)); err == nil || !strings.HasPrefix(err.Error(), "pipe: ") {
		t.Error(err)
	}
}

// A context ends a Send in the middle of a frame, and a Recv; the channel goes on with what is left.
func TestStreamGoesOnAfterContexts(t *testing.T) {
	for _, o := range []StreamOptions{{}, {WriteSize: 1000}} {
		a, b := piped(t, o)
		short, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		if _, err := b.Recv(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		cancel()
		frame := bytes.Repeat([]byte("x"), 2*usualSize)
		short, cancel = context.WithCancel(context.Background())
		var sent error
		var sender sync.WaitGroup
		sender.Go(func() { sent = a.Send(short, frame) })
		b.receiving.over(context.Background())
		if err := b.in.fill(); err != nil { // a first part
			t.Fatal(err)
		}
		cancel()
		sender.Wait()
		if !errors.Is(sent, context.Canceled) {
			t.Fatal(sent)
		}
		sender.Go(func() { sent = a.Send(context.Background(), []byte("next")) })
		for _, want := range [][]byte{frame, []byte("next")} {
			if got, err := b.Recv(context.Background()); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
		}
		if sender.Wait(); sent != nil {
			t.Fatal(sent)
		}
	}
}

func TestStreamEnds(t *testing.T) {
	for _, o := range []StreamOptions{{}, {Silence: time.Minute}} {
		testStreamEnds(t, o)
	}
}

func testStreamEnds(t *testing.T, o StreamOptions) {
	a, b := piped(t, o)
	freed, there := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := a.Recv(context.Background())
		freed <- err
	}()
	go func() {
		_, err := b.Recv(context.Background())
		there <- err
	}()
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if err := a.Close(); err != nil {
		t.Error("the second Close:", err)
	}
	if err := <-freed; err == nil {
		t.Error("the own Recv goes on")
	}
	if err := <-there; err != io.EOF {
		t.Errorf("%v, want io.EOF", err)
	}
	if _, err := b.Recv(context.Background()); err == nil {
		t.Error("it goes on")
	}
}

// The context of the last Send may end while the channel is closed: the other side gets the goodbye all the same.
func TestStreamEndsWhileAContextEnds(t *testing.T) {
	for range 2000 {
		x, y := net.Pipe()
		a, b := NewStreamChannel(x, StreamOptions{Name: "pipe", Silence: time.Minute}), NewStreamChannel(y, StreamOptions{Name: "pipe", Silence: time.Minute})
		there := make(chan error, 1)
		go func() {
			_, err := b.Recv(context.Background())
			if err == nil {
				_, err = b.Recv(context.Background())
			}
			there <- err
		}()
		ctx, cancel := context.WithCancel(context.Background())
		if err := a.Send(ctx, []byte("the last")); err != nil {
			t.Fatal(err)
		}
		go cancel()
		_ = a.Close()
		if err := <-there; err != io.EOF {
			t.Fatalf("%v, want io.EOF", err)
		}
		_ = b.Close()
		cancel()
	}
}

// A connection that ends without a goodbye counts as cut, where channels send one.
func TestStreamIsCut(t *testing.T) {
	x, y := net.Pipe()
	c := NewStreamChannel(x, StreamOptions{Name: "pipe", Silence: time.Minute})
	defer c.Close()
	_ = y.Close()
	if _, err := c.Recv(context.Background()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v, want io.ErrUnexpectedEOF", err)
	}
}

// aborted notes why a connection was given up.
type aborted struct {
	net.Conn
	why error
}

func (a *aborted) Abort(why error) { a.why = why }

func TestStreamAbortsOnABrokenFrame(t *testing.T) {
	x, y := net.Pipe()
	conn := &aborted{Conn: y}
	b := NewStreamChannel(conn, StreamOptions{Name: "pipe"})
	defer b.Close()
	go func() { _, _ = x.Write(FixedLengths.append(nil, sdk.MaxFrame+1)) }()
	if _, err := b.Recv(context.Background()); !errors.Is(err, ErrBroken) || conn.why != err {
		t.Errorf("%v; the connection was told %v", err, conn.why)
	}
	if _, err := x.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection goes on: %v", err)
	}
}

// small is a connection that limits the size of a write.
type small struct {
	net.Conn
	most int
}

func (s *small) Write(b []byte) (int, error) {
	if len(b) > s.most {
		return 0, errors.New("one write has too much")
	}
	return s.Conn.Write(b)
}

// The backlog of a Send is written in the sizes that the connection takes.
func TestStreamBacklogKeepsTheWriteSize(t *testing.T) {
	const most = 1000
	x, y := net.Pipe()
	a, b := NewStreamChannel(&small{x, most}, StreamOptions{WriteSize: most}), NewStreamChannel(y, StreamOptions{})
	defer b.Close()
	defer a.Close()
	ctx, cancel := context.WithCancel(context.Background())
	var sent error
	var sender sync.WaitGroup
	frame := bytes.Repeat([]byte("x"), 10*most)
	sender.Go(func() { sent = a.Send(ctx, frame) })
	b.receiving.over(context.Background())
	if err := b.in.fill(); err != nil { // a first part
		t.Fatal(err)
	}
	cancel()
	if sender.Wait(); !errors.Is(sent, context.Canceled) {
		t.Fatal(sent)
	}
	sender.Go(func() {
		if sent = a.Send(context.Background(), []byte("next")); sent != nil {
			_ = a.Close()
		}
	})
	for _, want := range [][]byte{frame, []byte("next")} {
		if got, err := b.Recv(context.Background()); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes, %v", len(got), err)
			break
		}
	}
	if sender.Wait(); sent != nil {
		t.Error(sent)
	}
}

// ending is a connection of which a part is read, and then an error.
type ending struct {
	net.Conn
	part []byte
	err  error
}

func (e *ending) Read(b []byte) (int, error) {
	if len(e.part) == 0 {
		return 0, e.err
	}
	n := copy(b, e.part)
	e.part = e.part[n:]
	return n, nil
}

// A stream that ends in the middle of a frame is cut; a connection that the other side has closed is closed, also there.
func TestStreamEndsInTheMiddleOfAFrame(t *testing.T) {
	for _, c := range []struct {
		silence   time.Duration
		err, want error
	}{
		{0, io.EOF, io.ErrUnexpectedEOF},
		{0, fmt.Errorf("closed by the peer: %w", io.EOF), io.EOF},
		{time.Minute, io.EOF, io.ErrUnexpectedEOF},
	} {
		x, _ := net.Pipe()
		s := NewStreamChannel(&ending{x, frames(FixedLengths, 10)[:7], c.err}, StreamOptions{Name: "pipe", Silence: c.silence})
		_, err := s.Recv(context.Background())
		if !errors.Is(err, c.want) || c.want != io.EOF && !strings.HasPrefix(err.Error(), "pipe: ") {
			t.Errorf("%v: %v, want %v", c.err, err, c.want)
		}
		_ = s.Close()
	}
}

// prompt is a connection that takes what has room.
type prompt struct {
	net.Conn
	room int
	got  []byte
}

func (p *prompt) TryWrite(b []byte) bool {
	if len(b) > p.room {
		return false
	}
	p.room -= len(b)
	p.got = append(p.got, b...)
	return true
}

func TestStreamTrySend(t *testing.T) {
	x, y := net.Pipe()
	defer y.Close()
	conn := &prompt{Conn: x, room: 20}
	c := NewPromptStreamChannel(conn, StreamOptions{})
	defer c.Close()
	if !c.TrySend([]byte("abc"), []byte("defg")) || c.TrySend([]byte("too much")) || c.TrySend(make([]byte, usualPrompt)) {
		t.Error("not what there is room for")
	}
	if want := frames(FixedLengths, 3, 4); len(conn.got) != len(want) || !strings.Contains(string(conn.got), "defg") {
		t.Errorf("%q", conn.got)
	}
	conn.room = usualPrompt
	ctx, cancel := context.WithCancel(context.Background())
	cancelled := make(chan error, 1)
	go func() { cancelled <- c.Send(ctx, []byte("frame")) }()
	if _, err := io.ReadFull(y, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-cancelled; err == nil {
		t.Fatal("sent")
	}
	if c.TrySend([]byte("x")) {
		t.Error("a frame is sent in the middle of another")
	}
}

func BenchmarkStreamChannel(b *testing.B) {
	x, y := net.Pipe()
	from, to := NewStreamChannel(x, StreamOptions{}), NewStreamChannel(y, StreamOptions{})
	defer to.Close()
	defer from.Close()
	batch := make([][]byte, 64)
	for i := range batch {
		batch[i] = make([]byte, 100)
	}
	b.ReportAllocs()
	b.SetBytes(100)
	go func() {
		for from.Send(context.Background(), batch...) == nil {
		}
	}()
	for b.Loop() {
		if _, err := to.Recv(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}
