package turn

import (
	"testing"
	"time"
)

const (
	ms     = time.Millisecond
	linger = 5 * time.Second
)

func expect(t *testing.T, what string, got, want Want) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// The pump is started once, woken where it would look too late, and ends when there was nothing to do for a while.
func TestPump(t *testing.T) {
	var turn Turn
	expect(t, "after the end", turn.Poke(false), Nothing)
	expect(t, "the first", turn.Poke(true), Start)
	expect(t, "the second", turn.Poke(true), Wake)
	if !turn.Look() || !turn.Awake() {
		t.Error("it does not look")
	}
	if until, end := turn.Sleep(100*ms, linger, 1*ms); until != 100*ms || end || turn.Awake() {
		t.Errorf("sleeps to %v, ends: %v", until, end)
	}
	expect(t, "due later", turn.PokeAt(200*ms, true), Nothing)
	expect(t, "due before", turn.PokeAt(50*ms, true), Wake)
	turn.Look()
	if until, end := turn.Sleep(0, linger, 10*ms); until != 10*ms+linger || end {
		t.Errorf("with nothing to do it sleeps to %v, ends: %v", until, end)
	}
	expect(t, "posted while it sleeps", turn.Posted(true), Wake)
	expect(t, "posted when it was woken", turn.Posted(true), Nothing)
	turn.Look()
	expect(t, "posted while it looks", turn.Posted(true), Nothing)
	turn.Begin(1, 20*ms)
	expect(t, "posted while it sends", turn.Posted(true), Nothing)
	turn.End(30 * ms)
	turn.Look()
	if until, _ := turn.Sleep(0, linger, 31*ms); until != 31*ms+linger {
		t.Errorf("it sleeps to %v", until)
	}
	turn.Look()
	if _, end := turn.Sleep(0, linger, 31*ms+linger); !end || turn.Running() {
		t.Error("it does not end")
	}
	expect(t, "after it has ended", turn.PokeAt(time.Hour, true), Start)
}

// While a poster sends the pump is not woken, and looks afterwards.
func TestPoster(t *testing.T) {
	var turn Turn
	turn.BeginPoster(7, 10*ms)
	if !turn.On(7) || turn.On(8) || !turn.Sending() {
		t.Error("nobody sends")
	}
	if !turn.EndPoster() {
		t.Error("there is no pump, and none is to be started")
	}
	turn.Poke(true)
	turn.Look()
	turn.Sleep(time.Hour, linger, 10*ms)
	turn.BeginPoster(7, 11*ms)
	if turn.EndPoster() || turn.Sending() {
		t.Error("the pump is to look for nothing")
	}
	turn.BeginPoster(7, 11*ms)
	expect(t, "posted meanwhile", turn.Posted(true), Nothing)
	if !turn.EndPoster() {
		t.Error("the pump does not look for what was posted meanwhile")
	}
	turn.BeginPoster(7, 11*ms)
	if turn.Look() {
		t.Error("two send")
	}
	if _, end := turn.Sleep(0, linger, time.Hour); end || !turn.EndPoster() {
		t.Error("the pump ends while a poster sends")
	}
	if !turn.Row(11*ms+rowPause-1) || turn.Row(11*ms+rowPause) {
		t.Error("the pause between messages in a row is another one")
	}
}

// What is being sent is stuck after the time that a path has, or when it counts as stalled.
func TestStuck(t *testing.T) {
	var turn Turn
	turn.Begin(1, 10*ms)
	for stalled, want := range map[time.Duration]time.Duration{0: 110 * ms, 50 * ms: 50 * ms, time.Hour: 110 * ms} {
		if due := turn.StuckDue(100*ms, stalled); due != want {
			t.Errorf("stalled at %v: stuck at %v, want %v", stalled, due, want)
		}
	}
}
