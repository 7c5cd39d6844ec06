package paths

import (
	"testing"
	"time"
)

const ms = time.Millisecond

var (
	options = Options{ProbeMin: 250 * ms, ProbeMax: 2 * time.Second, Stall: 4 * time.Second, AsidePause: 20 * ms, AsideCount: 32, AsideBytes: 1 << 10}
	relay   = Path{Door: "hyperty-runtime://a.example/alice/protostub/node", Stub: "hyperty-runtime://a.example/alice/protostub/node"}
	other   = Path{Door: "hyperty-runtime://a.example/alice/protostub/other", Stub: "hyperty-runtime://a.example/alice/protostub/other"}
	direct  = Path{Door: "hyperty-runtime://a.example/alice/p2prequester/1", Stub: "hyperty-runtime://a.example/alice/p2prequester/1", Direct: true}
)

// A path is asked for where there is none and something to send, ever more seldom while nobody knows one.
func TestAsksForAPath(t *testing.T) {
	p := New(options)
	if p.WantsRoute(false, 1) || !p.WantsRoute(true, 1) {
		t.Error("asks without work, or not although there is work")
	}
	now, last := time.Duration(1), time.Duration(0)
	for range 10 {
		if use := p.Routed(Path{}, false, now); !use.IsZero() {
			t.Fatalf("uses %+v, which nobody has named", use)
		}
		wait := p.RouteDue() - now
		if p.WantsRoute(true, p.RouteDue()-1) || !p.WantsRoute(true, p.RouteDue()) || wait < last || wait > options.ProbeMax {
			t.Fatalf("waits %v after %v", wait, last)
		}
		now, last = p.RouteDue(), wait
	}
	p.Came(relay)
	if use := p.Routed(Path{}, false, now); use != relay {
		t.Errorf("answers on %+v", use)
	}
	p.Use(relay)
	if p.WantsRoute(true, now+time.Hour) || p.RouteDue() != 0 {
		t.Error("asks although there is a path")
	}
	if use := p.Routed(relay, true, now); !use.IsZero() {
		t.Errorf("goes from a path to itself: %+v", use)
	}
}

// A path that has failed is not tried again for a while, which grows until something is acknowledged.
func TestFailed(t *testing.T) {
	p := New(options)
	p.Use(direct)
	if p.Lose(relay, 1) {
		t.Error("a path that is not in use was lost")
	}
	pause := func(now time.Duration) time.Duration {
		p.Use(direct)
		if !p.Lose(direct, now) || !p.None() || p.MayUse(direct, now) || !p.MayUse(relay, now) {
			t.Fatal("not lost, or tried again at once")
		}
		if use := p.Routed(direct, true, now); !use.IsZero() {
			t.Fatal("tried again at once because it is said to be the best")
		}
		return p.RouteDue() - now
	}
	first := pause(1)
	if second := pause(time.Second); second != 2*first {
		t.Errorf("%v after %v", second, first)
	}
	for i := range 10 {
		if d := pause(time.Duration(i+2) * time.Second); d > options.ProbeMax {
			t.Errorf("%v", d)
		}
	}
	p.Progress(false, time.Minute)
	if d := pause(time.Minute); d != first {
		t.Errorf("%v after progress, %v at first", d, first)
	}
	if p.Forgive(direct); !p.MayUse(direct, time.Minute) {
		t.Error("not forgiven")
	}
}

// A peer that has used our direct path and comes by another one has left it; one that never came there, or comes back, has not.
func TestPeerLeaves(t *testing.T) {
	p := New(options)
	p.Use(direct)
	if p.Newest(relay) || p.Away() {
		t.Error("a peer that never came by the path has left it")
	}
	p.Newest(direct)
	if !p.Newest(relay) || !p.Away() {
		t.Fatal("it has not left")
	}
	if p.Newest(relay) {
		t.Error("it leaves twice")
	}
	if to, ok := p.Follow(); !ok || to != relay {
		t.Errorf("follow to %+v, %v", to, ok)
	}
	if p.Newest(direct); p.Away() {
		t.Error("it is away although it came back")
	}
	p.Newest(relay)
	if p.Use(relay); p.Away() {
		t.Error("it is away from a path that we have left as well")
	}
	p.Newest(relay)
	if p.Newest(other) {
		t.Error("a relay is left as a direct path is")
	}
}

// What is not acknowledged is asked for, ever more seldom, with another look for the best path; in the end the path counts as
// stalled, once.
func TestProbes(t *testing.T) {
	p := New(options)
	p.Use(relay)
	if p.Tick(false, 1); p.ProbeDue() != 0 || p.StallDue() != 0 {
		t.Error("something is due though nothing waits")
	}
	p.Sent(time.Second)
	if p.ProbeDue() != time.Second+250*ms || p.StallDue() != 5*time.Second {
		t.Errorf("probe at %v, stalled at %v", p.ProbeDue(), p.StallDue())
	}
	var probes, stalls int
	for now := time.Second; now < 21*time.Second; now += 50 * ms {
		if p.Tick(true, now) {
			if stalls++; now != 5*time.Second {
				t.Errorf("stalled at %v", now)
			}
		}
		if p.WantsProbe() {
			probes++
			if !p.Asking() {
				t.Error("a probe without a look for a better path")
			}
			p.Probed()
			p.Routed(relay, true, now)
		}
	}
	if stalls != 1 || probes < 10 || probes > 14 {
		t.Errorf("%d probes in 20 s, stalled %d times", probes, stalls)
	}
	if p.Progress(true, 30*time.Second); p.ProbeDue() != 30*time.Second+250*ms || p.StallDue() != 34*time.Second || p.LastProgress() != 30*time.Second {
		t.Errorf("after an acknowledgement: probe at %v, stalled at %v", p.ProbeDue(), p.StallDue())
	}
	if p.Progress(false, 31*time.Second); p.ProbeDue() != 0 || p.StallDue() != 0 {
		t.Error("something is due though everything is acknowledged")
	}
}

// What comes by a relay that is not in use is acknowledged there at once, then seldom; acknowledgements do not answer each other.
func TestAside(t *testing.T) {
	p := New(options)
	if p.Aside(other, true, 10, 1) {
		t.Error("answers where nothing is in use")
	}
	p.Use(relay)
	if p.Aside(relay, true, 10, 1) || p.Aside(direct, true, 10, 1) {
		t.Error("answers by the path in use, or by a direct one")
	}
	if !p.Aside(other, true, 10, 1) || p.Aside(other, true, 10, 10*ms) || !p.Aside(other, true, 10, 21*ms) {
		t.Error("not at once, or again too soon, or never again")
	}
	answers := 0
	for i := range 64 {
		if p.Aside(other, false, 10, time.Duration(i)*time.Hour) {
			answers++
		}
	}
	if answers != 2 {
		t.Errorf("%d answers to 64 acknowledgements", answers)
	}
	if !p.Aside(other, false, 1<<10, 0) {
		t.Error("many bytes are not answered")
	}
	p.Use(direct)
	if p.Aside(other, true, 1<<20, time.Minute) {
		t.Error("answers although a direct path is in use")
	}
}

// A path that is taken again has another number than before.
func TestNumber(t *testing.T) {
	p := New(options)
	if p.Number() != 0 {
		t.Error("there is a number without a path")
	}
	p.Use(direct)
	first := p.Number()
	p.Use(relay)
	second := p.Number()
	p.Leave()
	none := p.Number()
	p.Use(direct)
	if third := p.Number(); first == 0 || second == 0 || none != 0 || first == second || second == third || first == third {
		t.Errorf("paths in use had the numbers %d, %d and %d, none has %d", first, second, third, none)
	}
}
