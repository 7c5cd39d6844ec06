package busypoll

import (
	"testing"
	"time"
)

const turn = time.Microsecond // of others that need little time

// vain polls from a time on without input, and returns how often the Waiter yielded.
func (p *pace) vain(now time.Time, limit time.Duration) (turns int) {
	for began := now; ; {
		before := now
		now = now.Add(turn)
		if turns++; p.yielded(began, before, now, limit, false) {
			return turns
		}
	}
}

// After an input that came soon, or within twice the limit, the next wait is polled; others are not.
func TestRestsWhereInputIsLongInComing(t *testing.T) {
	var p pace
	now := time.Unix(1000, 0)
	if !p.rests(now) {
		t.Error("looks before anything came")
	}
	for waited, want := range map[time.Duration]bool{0: false, Usual: false, 2*Usual - 1: false, 2 * Usual: true, time.Hour: true} {
		if p.came(waited, Usual); p.rests(now) != want {
			t.Errorf("after a wait of %v it rests: %v", waited, !want)
		}
	}
}

// A Waiter that has polled in vain for as long as the limit sleeps, also the next times, and then polls again; an input that
// it finds resets that.
func TestSleepsAfterLookingInVain(t *testing.T) {
	var p pace
	now := time.Unix(1000, 0)
	for _, want := range []int{1, 3, 7, 15, 31, 63, 63} {
		if turns := p.vain(now, Usual); turns != int(Usual/turn) {
			t.Fatalf("has looked %d times", turns)
		}
		slept := 0
		for p.skips() {
			slept++
		}
		if slept != want {
			t.Fatalf("slept %d times, want %d", slept, want)
		}
	}
	if !p.yielded(now, now, now.Add(turn), Usual, true) {
		t.Error("looks on though it has found something")
	}
	if p.skips() {
		t.Error("sleeps after it has found something")
	}
	p.vain(now, Usual)
	if !p.skips() || p.skips() {
		t.Error("does not sleep just once after it has looked in vain for the first time since")
	}
}

// A Waiter that does not get the processor back soon sleeps for a while, then polls again. The more often that has happened
// lately, the longer it sleeps.
func TestSleepsWhereOthersNeedTheProcessor(t *testing.T) {
	p := pace{soon: true}
	now := time.Unix(1000, 0)
	taken := func(found bool) {
		t.Helper()
		before := now
		now = now.Add(busy + 1)
		if !p.yielded(before, before, now, Usual, found) {
			t.Fatal("looks on")
		}
	}
	if p.yielded(now, now, now.Add(busy), time.Second, false) {
		t.Fatal("does not look on though it has the processor back in time")
	}
	pause := time.Duration(0)
	for i := range 12 {
		taken(i%2 == 0)
		if pause = min(max(2*pause, minPause), maxPause); p.until != now.Add(pause) {
			t.Fatalf("sleeps for %v, want %v", p.until.Sub(now), pause)
		}
		if !p.rests(p.until.Add(-1)) || p.rests(p.until) {
			t.Fatal("does not look again just when it has slept long enough")
		}
		if p.skips() {
			t.Fatal("sleeps through waits though it has not looked in vain")
		}
		now = p.until
	}
	now = p.until.Add(maxPause - busy - 1)
	if taken(false); p.until != now.Add(maxPause) {
		t.Errorf("sleeps for %v a while after the last time, want %v", p.until.Sub(now), maxPause)
	}
	now = p.until.Add(maxPause)
	if taken(false); p.until != now.Add(minPause) {
		t.Errorf("sleeps for %v long after the last time, want %v", p.until.Sub(now), minPause)
	}
}
