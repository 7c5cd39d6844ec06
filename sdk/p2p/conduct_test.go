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
	var p conducts
	now := time.Now()
	const mallory, bob message.URL = "hyperty-runtime://example.com/mallory", "hyperty-runtime://example.com/bob"
	for want := firstPenalty; want < 2*mostPenalty; want *= 2 {
		p.punish(mallory, now)
		if got := p.punished(mallory, now); got != min(want, mostPenalty) {
			t.Fatalf("%v, want %v", got, want)
		}
		now = now.Add(p.punished(mallory, now))
		if p.punished(mallory, now) != 0 || p.punished(bob, now) != 0 {
			t.Fatal("it does not end, or is another's too")
		}
	}
	now = now.Add(penaltyKept + 1)
	if p.punish(mallory, now); p.punished(mallory, now) != firstPenalty {
		t.Errorf("%v after a long time", p.punished(mallory, now))
	}
}

// Invented runtimes do not fill the table, and displace only those whose penalty ends soon.
func TestPenaltiesAreBounded(t *testing.T) {
	var p conducts
	now := time.Now()
	for range 3 {
		p.punish("hyperty-runtime://example.com/mallory", now)
	}
	for i := range 10 * maxConducts {
		now = now.Add(time.Millisecond)
		p.punish(message.URL(fmt.Sprintf("hyperty-runtime://example.com/%d", i)), now)
	}
	if len(p.of) > maxConducts {
		t.Errorf("%d are kept", len(p.of))
	}
	if p.punished("hyperty-runtime://example.com/mallory", now) == 0 {
		t.Error("who broke it three times is free")
	}
}

// A runtime that begins connections which are never live has to wait; what is live costs it little, and waiting helps.
func TestSetupsCost(t *testing.T) {
	var c conducts
	now := time.Now()
	const mallory, bob message.URL = "hyperty-runtime://example.com/mallory", "hyperty-runtime://example.com/bob"
	begun := 0
	for i := range 60 * 100 { // a minute, a hundred times a second
		if c.begin(mallory, now) == 0 {
			begun++
		}
		if i%200 == 0 && c.begin(bob, now) != 0 {
			t.Fatal("what one runtime begins is another's charge")
		}
		now = now.Add(10 * time.Millisecond)
	}
	if most := mostSpent/setupCost + 60*spentASecond/setupCost; begun < most-2 || begun > most+1 {
		t.Errorf("%d were begun in a minute, want about %d", begun, most)
	}
	var wait time.Duration
	for wait == 0 {
		wait = c.begin(mallory, now)
	}
	if wait < 0 || wait > 2*time.Second || c.begin(mallory, now.Add(wait+1)) != 0 {
		t.Errorf("it has to wait %v", wait)
	}
	now = now.Add(time.Hour)
	for i := range maxConducts + 100 {
		c.begin(message.URL(fmt.Sprintf("hyperty-runtime://example.com/%d", i)), now)
	}
	if len(c.of) > maxConducts {
		t.Errorf("%d are kept", len(c.of))
	}
}

// Two connections a second that are live, as an application that goes to and fro makes them, are never refused.
func TestLiveSetupsAreFree(t *testing.T) {
	var c conducts
	now := time.Now()
	for range 10_000 {
		if wait := c.begin("hyperty-runtime://example.com/bob", now); wait > 0 {
			t.Fatalf("has to wait %v", wait)
		}
		c.refund("hyperty-runtime://example.com/bob", now)
		now = now.Add(time.Second / 2)
	}
}

// A runtime that sets up connections which are never live is refused before anything is done for it. The refusal says how
// long to wait, and that time ends.
func TestWhoIsNeverLiveIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed) { b.tb.hang = true })
		b.request()
		for range 2 * mostSpent / setupCost {
			b.command(aliceRequester, message.Execute, execute("disconnect", bob))
			synctest.Wait()
			b.command(aliceRequester, message.Execute, execute("connect", bobHandler))
			synctest.Wait()
		}
		if got := b.statusesOf(bobHandler); strings.Count(got, "created") != mostSpent/setupCost {
			t.Errorf("the Handler has begun %d set-ups, want %d", strings.Count(got, "created"), mostSpent/setupCost)
		}
		if got := b.statusesOf(aliceRequester); !strings.HasSuffix(got, "has begun too many connections: no other one is made in the next 2 s") {
			t.Errorf("statuses: %s", got)
		}
		b.tb.hang = false
		time.Sleep(2 * time.Second)
		b.command(aliceRequester, message.Execute, execute("connect", bobHandler))
		synctest.Wait()
		if got := b.statusesOf(aliceRequester); !strings.HasSuffix(got, "live") {
			t.Errorf("statuses: %s", got)
		}
		b.stopAll()
	})
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
