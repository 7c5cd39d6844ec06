package transport

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/p2p"
)

func TestFramesOfEverySizeInOrder(t *testing.T) {
	a, b := connected(t, start(t, ""), start(t, ""))
	random := rand.New(rand.NewPCG(1, 2))
	sizes := []int{0, 1, 127, 128, 16383, 16384, 256<<10 - 3, 256 << 10, 256<<10 + 1, sdk.MaxFrame, 0, 5, sdk.MaxFrame - 1}
	for range 500 {
		sizes = append(sizes, random.IntN(1<<random.IntN(18)))
	}
	frames := make([][]byte, len(sizes))
	for i, n := range sizes {
		frames[i] = make([]byte, n)
		for j := range frames[i] {
			frames[i][j] = byte(i + j*7)
		}
	}
	ctx := within(t, 2*patience)
	sent := make(chan error, 1)
	go func() {
		for left := frames; len(left) > 0; {
			n := min(1+random.IntN(40), len(left))
			if err := a.Send(ctx, left[:n]...); err != nil {
				sent <- err
				return
			}
			left = left[n:]
		}
		sent <- nil
	}()
	for i, want := range frames {
		got, err := b.Recv(ctx)
		if err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("frame %d: %d bytes, want %d, or another content", i, len(got), len(want))
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

func TestFrameTooBigIsRefused(t *testing.T) {
	a, b := connected(t, start(t, ""), start(t, ""))
	ctx := within(t, patience)
	if err := a.Send(ctx, []byte("x"), make([]byte, sdk.MaxFrame+1)); err == nil {
		t.Fatal("sent")
	}
	if err := exchange(ctx, a, b, "after"); err != nil {
		t.Fatalf("the channel does not work any more, or a part was sent: %v", err)
	}
}

func TestCloseIsEOFAtTheOtherSide(t *testing.T) {
	for _, byRequester := range []bool{true, false} {
		a, b := connected(t, start(t, ""), start(t, ""))
		if !byRequester {
			a, b = b, a
		}
		ctx := within(t, patience)
		if err := exchange(ctx, a, b, "before"); err != nil {
			t.Fatal(err)
		}
		blocked := make(chan error, 1)
		go func() {
			_, err := a.Recv(ctx)
			blocked <- err
		}()
		for range 2 {
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-blocked; !errors.Is(err, net.ErrClosed) {
			t.Errorf("own Recv: %v, want net.ErrClosed", err)
		}
		if _, err := b.Recv(ctx); err != io.EOF {
			t.Errorf("other side's Recv: %v, want io.EOF", err)
		}
		if err := b.Send(ctx, []byte("x")); err != io.EOF {
			t.Errorf("other side's Send: %v, want io.EOF", err)
		}
		if err := a.Send(ctx, []byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("own Send: %v, want net.ErrClosed", err)
		}
	}
}

// Close ends the channel at once: frames that have not left are lost, which the other side does not report as a fault.
func TestCloseInTheMiddleOfAFrameIsEOF(t *testing.T) {
	a, b := connected(t, start(t, ""), start(t, ""))
	ctx := within(t, patience)
	raw := append(binary.AppendUvarint(nil, 2), "hi"...)
	raw = append(binary.AppendUvarint(raw, 1000), "a first part"...)
	if _, err := a.(*channel).stream.Write(raw); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Recv(ctx); err != nil || string(got) != "hi" {
		t.Fatalf("%q, %v", got, err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Recv(ctx); err != io.EOF {
		t.Errorf("%v, want io.EOF", err)
	}
}

func TestContextEndsRecvAndNothingIsLost(t *testing.T) {
	a, b := connected(t, start(t, ""), start(t, ""))
	ctx := within(t, patience)
	for i := range 20 {
		short, cancel := context.WithTimeout(ctx, time.Duration(i%3)*time.Millisecond)
		if _, err := b.Recv(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%v, want the context's error", err)
		}
		cancel()
		if err := exchange(ctx, a, b, "again"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFullChannelBlocksAndContextEndsSend(t *testing.T) {
	t.Parallel()
	a, b := connected(t, start(t, ""), start(t, ""))
	ctx := within(t, 2*patience)
	// Nobody receives: Send must block before long, and its context must end it in the middle of a frame.
	const size = 300_000
	frame := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, size) }
	sent, cut := 0, false
	for !cut {
		short, cancel := context.WithTimeout(ctx, time.Second)
		err := a.Send(short, frame(sent))
		cancel()
		if cut = err != nil; cut && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		sent++ // with the frame that was cut, since it was begun
		if sent*size > 4*streamWindowMax {
			t.Fatalf("%d frames fit though nobody receives", sent)
		}
	}
	done := make(chan error, 1)
	go func() { done <- a.Send(ctx, frame(sent)) }()
	for i := range sent + 1 {
		got, err := b.Recv(ctx)
		if err != nil {
			t.Fatalf("frame %d of %d: %v", i, sent+1, err)
		}
		if !bytes.Equal(got, frame(i)) {
			t.Fatalf("frame %d is damaged", i)
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestBrokenFrameEndsTheChannel(t *testing.T) {
	for name, raw := range map[string][]byte{
		"too long":      {0xff, 0xff, 0x7f},
		"endless":       {0xff, 0xff, 0xff, 0xff},
		"not shortest":  {0x80, 0x00},
		"just too long": binary.AppendUvarint(nil, sdk.MaxFrame+1),
	} {
		a, b := connected(t, start(t, ""), start(t, ""))
		ctx := within(t, patience)
		if _, err := a.(*channel).stream.Write(raw); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Recv(ctx); !errors.Is(err, p2p.ErrBroken) || errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := a.Recv(ctx); err == nil || err == io.EOF {
			t.Errorf("%s: the other side got %v", name, err)
		}
	}
}

func TestStreamEndedByThePeer(t *testing.T) {
	a, b := connected(t, start(t, ""), start(t, ""))
	ctx := within(t, patience)
	_ = a.(*channel).stream.Close()
	if _, err := b.Recv(ctx); err != io.EOF {
		t.Errorf("%v, want io.EOF", err)
	}
	if _, err := a.Recv(ctx); err != io.EOF {
		t.Errorf("the connection stays: %v", err)
	}
}

func TestTransportCloseEndsEverything(t *testing.T) {
	ta, tb := start(t, ""), start(t, "")
	a, b := connected(t, ta, tb)
	ctx := within(t, patience)
	waiting := make(chan error, 2)
	for _, role := range []p2p.Role{p2p.Requester, p2p.Handler} {
		go func() {
			w, _ := newWires()
			_, err := ta.Connect(ctx, p2p.Peer{Local: runtimeA, Remote: runtimeB, Role: role}, w)
			waiting <- err
		}()
	}
	if err := ta.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-waiting; !errors.Is(err, ErrClosed) {
			t.Errorf("set-up: %v, want ErrClosed", err)
		}
	}
	if _, err := b.Recv(ctx); err != io.EOF {
		t.Errorf("the peer got %v, want io.EOF", err)
	}
	if _, err := a.Recv(ctx); err == nil {
		t.Error("the closed channel still receives")
	}
	w, _ := newWires()
	if _, err := ta.Connect(ctx, p2p.Peer{Role: p2p.Handler}, w); !errors.Is(err, ErrClosed) {
		t.Errorf("Connect after Close: %v", err)
	}
	ta.mu.Lock()
	defer ta.mu.Unlock()
	if len(ta.setups)+len(ta.welcome)+len(ta.queries) != 0 {
		t.Errorf("left behind: %d set-ups, %d certificates, %d queries", len(ta.setups), len(ta.welcome), len(ta.queries))
	}
}
