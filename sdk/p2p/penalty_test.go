package p2p

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// Whoever breaks the protocol again and again is refused for longer each time, up to a bound, and forgiven in the end.
func TestPenaltiesGrow(t *testing.T) {
	var p penalties
	now := time.Now()
	const mallory, bob message.URL = "hyperty-runtime://example.com/mallory", "hyperty-runtime://example.com/bob"
	for want := firstPenalty; want < 2*mostPenalty; want *= 2 {
		p.add(mallory, now)
		if got := p.left(mallory, now); got != min(want, mostPenalty) {
			t.Fatalf("%v, want %v", got, want)
		}
		now = now.Add(p.left(mallory, now))
		if p.left(mallory, now) != 0 || p.left(bob, now) != 0 {
			t.Fatal("it does not end, or is another's too")
		}
	}
	now = now.Add(penaltyKept + 1)
	if p.add(mallory, now); p.left(mallory, now) != firstPenalty {
		t.Errorf("%v after a long time", p.left(mallory, now))
	}
}

// Invented runtimes do not fill the table, and free only those that are free soon.
func TestPenaltiesAreBounded(t *testing.T) {
	var p penalties
	now := time.Now()
	for range 3 {
		p.add("hyperty-runtime://example.com/mallory", now)
	}
	for i := range 10 * maxPenalties {
		now = now.Add(time.Millisecond)
		p.add(message.URL(fmt.Sprintf("hyperty-runtime://example.com/%d", i)), now)
	}
	if len(p.of) > maxPenalties {
		t.Errorf("%d are kept", len(p.of))
	}
	if p.left("hyperty-runtime://example.com/mallory", now) == 0 {
		t.Error("who broke it three times is free")
	}
}

// A runtime that broke the protocol is refused for a while, and then served again.
func TestWhoBreaksTheProtocolIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil)
		b.connectAll()
		b.ta.last().end.with(fmt.Errorf("mem: %w: nonsense", ErrBroken))
		synctest.Wait()
		b.wantStatuses(bobHandler, "created, in-progress, live, disconnected: mem: the peer broke the protocol: nonsense")
		b.command(aliceRequester, message.Execute, execute("connect", bobHandler))
		synctest.Wait()
		if got := b.statusesOf(aliceRequester); !strings.Contains(got, "failed: ") || !strings.HasSuffix(got, "broke the protocol of an earlier connection: no other one is made in the next 6 s") {
			t.Errorf("statuses: %s", got)
		}
		if got := b.statusesOf(bobHandler); strings.Count(got, "created") != 1 {
			t.Errorf("the Handler's registry was asked: %s", got)
		}
		time.Sleep(firstPenalty + time.Second)
		b.command(aliceRequester, message.Execute, execute("connect", bobHandler))
		synctest.Wait()
		if got := b.statusesOf(aliceRequester); !strings.HasSuffix(got, "live") {
			t.Errorf("statuses: %s", got)
		}
		b.stopAll()
	})
}
