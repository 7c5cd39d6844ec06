package transport

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/protofly/protofly/sdk/p2p"
)

// Bytes that were read, and answers to this side's packets, explain bytes that have come; there is no credit for bytes that
// come later.
func TestLedger(t *testing.T) {
	for name, c := range map[string]struct {
		received, read, sent uint64 // each time
		times                int
		over                 bool
	}{
		"bulk":                           {1_040_000, 1_000_000, 400, 10_000, false},
		"small frames, each in a packet": {75, 40, 1, 10_000_000, false},
		"acknowledgements of bulk":       {60 * 100, 0, 200, 1_000_000, false},
		"keep-alives":                    {35, 0, 1, 10_000_000, false},
		"one byte a frame, all read":     {7000, 1000, 3, 10_000, true},
		"behind a gap":                   {1_000_000, 0, 400, 20, true},
	} {
		var l ledger
		var r, s, p uint64
		worst := int64(0)
		for range c.times {
			r, s, p = r+c.received, s+c.read, p+c.sent
			worst = max(worst, l.note(r, s, p))
		}
		if worst > maxUnread != c.over {
			t.Errorf("%s: %d bytes unexplained", name, worst)
		}
	}
	var l ledger
	l.note(1<<30, 1<<30, 1<<20)
	if got := l.note(1<<30+maxUnread+1, 1<<30, 1<<20); got != maxUnread+1 {
		t.Errorf("honest bulk is a credit: %d", got)
	}
	// A full window that nobody reads, in the smallest packets that an honest peer sends.
	if got := (&ledger{}).note(streamWindowMax*2, 0, 0); got > maxUnread {
		t.Errorf("a slow reader is taken for an attack: %d", got)
	}
}

// A peer that sends one byte a frame, which nobody reads, loses its connection long before the window is full.
func TestOneByteFramesEndTheConnection(t *testing.T) {
	a, b := start(t, `{"listen":"127.0.0.1:0"}`), start(t, `{"listen":"127.0.0.1:0"}`)
	b.mu.Lock()
	b.maxUnread = 128 << 10 // instead of 11 MiB, since this sender puts only one frame into a packet
	b.mu.Unlock()
	x, y := connected(t, a, b)
	from := x.(*channel)
	ctx := within(t, patience)
	frames := 0
	for from.conn.Context().Err() == nil && ctx.Err() == nil {
		sent := from.conn.ConnectionStats().PacketsSent
		if _, err := from.stream.Write([]byte{1}); err != nil {
			break
		}
		frames++
		for from.conn.ConnectionStats().PacketsSent == sent && from.conn.Context().Err() == nil {
			runtime.Gosched()
		}
	}
	var broken *quic.ApplicationError
	if _, err := y.Recv(ctx); !errors.Is(err, p2p.ErrBroken) || !errors.As(err, &broken) || broken.ErrorCode != codeBroken {
		t.Errorf("after %d frames: %v", frames, err)
	}
	t.Logf("the connection ended after %d frames of one byte", frames)
}

// Honest peers that are slow to read, or only send little, keep their connection.
func TestSlowReadersKeepTheConnection(t *testing.T) {
	t.Parallel()
	a, b := start(t, `{"listen":"127.0.0.1:0"}`), start(t, `{"listen":"127.0.0.1:0"}`)
	x, y := connected(t, a, b)
	ctx := within(t, patience)
	sent := make(chan error, 1)
	go func() {
		small, large := make([]byte, 40), make([]byte, 64<<10)
		for i := range 400 {
			frame := small
			if i%4 == 0 {
				frame = large
			}
			if err := x.Send(ctx, frame); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for i := range 400 {
		if i == 0 || i == 200 { // nobody reads for some time
			<-time.After(3 * watchEvery)
		}
		if _, err := y.Recv(ctx); err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

// If unread data needs too much memory, the peer that has sent the most loses its connection, and no other does. The error does
// not say that it broke the protocol.
func TestUnreadNeedsMemory(t *testing.T) {
	a, b := start(t, `{"listen":"127.0.0.1:0"}`), start(t, `{"listen":"127.0.0.1:0"}`)
	_, little := connected(t, a, b)
	x, much := connected(t, a, b)
	ctx := within(t, patience)
	sending, stop := context.WithCancel(ctx)
	defer stop()
	sent := make(chan error, 1)
	go func() { sent <- x.Send(sending, make([]byte, 800<<10), make([]byte, 800<<10), make([]byte, 800<<10)) }()
	b.mu.Lock()
	b.heap = func() uint64 { return 1 << 40 }
	b.mu.Unlock()
	select {
	case <-much.(*channel).conn.Context().Done():
	case <-ctx.Done():
		t.Fatal("it is not closed")
	}
	var closed *quic.ApplicationError
	if err := context.Cause(much.(*channel).conn.Context()); !errors.As(err, &closed) || closed.ErrorCode != codeMemory {
		t.Errorf("closed for %v", err)
	}
	for range 3 { // frames that have come before may be read
		if _, err := much.Recv(ctx); err != nil && errors.Is(err, p2p.ErrBroken) {
			t.Error(err)
		}
	}
	if err := context.Cause(little.(*channel).conn.Context()); err != nil {
		t.Errorf("the other one: %v", err)
	}
	stop()
	<-sent
}
