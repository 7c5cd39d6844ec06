package session

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/core/session/internal/answers"
	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// Close waits for no stranger, however many of them go on saying hello.
func TestCloseUnderAFloodOfStrangers(t *testing.T) {
	p := newPair(t, Options{}, nil)
	p.b.o.Send = func(context.Context, Path, message.URL, ...[]byte) error { // there is room: it looks at no context
		time.Sleep(time.Millisecond)
		return nil
	}
	var stop atomic.Bool
	var flood sync.WaitGroup
	for k := range 4 {
		flood.Go(func() {
			for n := 0; !stop.Load(); n++ {
				f := append(wire.AppendHead(nil, wire.Head{Kind: wire.Hello, From: uint64(n) + 77}), handshake.StepFirst)
				f = append(f, make([]byte, handshake.FirstSize)...)
				p.b.Receive(t.Context(), message.URL(fmt.Sprintf("hyperty-runtime://a.example/%d-%d", k, n)), relay, f)
			}
		})
	}
	time.Sleep(300 * time.Millisecond)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	done := make(chan struct{})
	go func() { p.b.Close(ctx); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Error("Close does not return while strangers say hello")
	}
	stop.Store(true)
	flood.Wait()
	<-done
	p.a.Close(ctx)
}

// What strangers have computed takes half of the time at most: they may ask for much at once, and frames of sessions wait
// meanwhile.
func TestDeskLeavesTimeToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Options{}, nil)
		defer p.close(t)
		const each, count = answers.Spell / 4, answers.MaxOf
		began := time.Now()
		computed := make(chan time.Duration, count)
		for range count {
			p.b.answers.Compute(relay, alice, func() []byte { time.Sleep(each); computed <- time.Since(began); return nil })
		}
		var all time.Duration
		for n := range time.Duration(count) {
			at := <-computed
			if n == 0 && at != each {
				t.Errorf("the first waited until %v", at)
			}
			if busy := (n + 1) * each; busy > at/2+2*answers.Spell {
				t.Errorf("%v of the first %v were computed", busy, at)
			}
			all = at
		}
		if most := 2*count*each + answers.Spell; all > most {
			t.Errorf("%d took %v, at most %v", count, all, most)
		}
	})
}

// Those who have direct connections and do not read what they are answered keep nobody from being answered by a relay.
func TestStuckDesksLeaveRoom(t *testing.T) {
	p := newPair(t, Options{}, nil)
	answered := make(chan struct{}, 1)
	p.b.o.Send = func(ctx context.Context, path Path, _ message.URL, _ ...[]byte) error {
		if path.Direct {
			<-ctx.Done()
			return ctx.Err()
		}
		select {
		case answered <- struct{}{}:
		default:
		}
		return nil
	}
	for n := range 4 * answers.MaxPaths {
		door := message.URL(fmt.Sprintf("hyperty-runtime://b.example/b/p2phandler/x/%d", n))
		p.b.answers.Send(Path{Door: door, Stub: direct.Stub, Direct: true}, "hyperty-runtime://a.example/mallory", make([]byte, 100))
	}
	p.b.answers.Send(relay, "hyperty-runtime://a.example/alice", make([]byte, 100))
	select {
	case <-answered:
	case <-time.After(answers.SendTime / 2):
		t.Error("nobody is answered by the relay")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p.a.Close(ctx)
	p.b.Close(ctx)
	if p.b.answers.Busy() {
		t.Error("something is left to be answered")
	}
}
