package transport

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/p2p"
)

// joined makes a peer with the name connect to tr, and returns the two ends.
func joined(t *testing.T, tr *Transport, name string) (here, there p2p.Channel) {
	t.Helper()
	out, back := make(chan p2p.Signal, 100), make(chan p2p.Signal, 100)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	done := make(chan error, 1)
	other := transportFor(t)
	go func() {
		var err error
		there, err = other.Connect(ctx, p2p.Peer{Local: bob, Remote: alice, Role: p2p.Requester}, wire{back, out})
		done <- err
	}()
	here, err := tr.Connect(ctx, p2p.Peer{Local: alice, Remote: bob.Join(name), Role: p2p.Handler}, wire{out, back})
	if err = errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	return here, there
}

// sends makes one end send so many KiB, which nobody reads; they are less than a window.
func sends(ctx context.Context, t *testing.T, from p2p.Channel, kib int) {
	t.Helper()
	for range kib / 50 {
		if err := from.Send(ctx, make([]byte, 50<<10)); err != nil {
			t.Fatal(err)
		}
	}
}

// The unread data of all peers together is bounded: beyond the bound, the connection with the most is closed.
func TestHeldInAll(t *testing.T) {
	tr := transportFor(t)
	tr.unread.most = 1 << 20 // less than the greedy peer alone may have unread
	honest, from := joined(t, tr, "honest")
	greedy, greedyEnd := joined(t, tr, "greedy")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	sends(ctx, t, from, 250) // which stay unread too
	var reader sync.WaitGroup
	defer reader.Wait()
	reader.Go(func() { _, _ = greedyEnd.Recv(ctx) }) // which is how its end is seen
	for greedyEnd.Send(ctx, make([]byte, 50<<10)) == nil {
	}
	var err error
	for err == nil { // frames that came before the end
		_, err = greedy.Recv(ctx)
	}
	if !strings.Contains(err.Error(), "all peers together") {
		t.Errorf("%v", err)
	}
	for range 5 {
		if _, err := honest.Recv(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := from.Send(ctx, []byte("alive")); err != nil {
		t.Fatal(err)
	}
	if got, err := honest.Recv(ctx); err != nil || string(got) != "alive" {
		t.Fatalf("%q, %v", got, err)
	}
}

// The same holds if each peer has less than a window unread; and connections that have ended do not count any more.
func TestHeldByMany(t *testing.T) {
	tr := transportFor(t)
	tr.unread.most = 850 << 10 // more than two peers have unread, and less than three
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	var peers []*channel
	for n := range 5 {
		here, there := joined(t, tr, fmt.Sprint("peer", n))
		c := here.(*channel)
		peers = append(peers, c)
		readers.Go(func() { _, _ = there.Recv(ctx) }) // which is how its end is seen
		for range 8 {
			_ = there.Send(ctx, make([]byte, 50<<10))
		}
		until(ctx, t, "all of it has come", func() bool {
			return !c.lives() || c.meter.authentic() >= 400<<10
		})
		until(ctx, t, "it is not too much", func() bool { return tr.unread.bytes.Load() <= tr.unread.most })
	}
	left := 0
	for _, c := range peers {
		if c.lives() {
			left++
		} else if !strings.Contains(c.why.Error(), "all peers together") {
			t.Error(c.why)
		}
	}
	if all := tr.unread.bytes.Load(); left != 2 || all < 2*300<<10 {
		t.Errorf("%d are left, with %d bytes", left, all)
	}
}

// until waits until is returns true; no event announces it.
func until(ctx context.Context, t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		}
	}
}
