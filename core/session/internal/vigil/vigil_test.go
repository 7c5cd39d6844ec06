package vigil

import (
	"testing"
	"time"
)

const minute = time.Minute

var times = Options{Ask: 2 * minute, Gone: 5 * minute, Lost: time.Hour}

// looks has a vigil looked at each half a minute from heard on, and returns for how long the runtime was silent when it was asked
// first, and when it had gone; 0: never within two hours.
func looks(v *Vigil, heard time.Duration, way bool, each func(now time.Duration)) (asked, gone time.Duration) {
	for now := heard; now < heard+2*time.Hour; now += minute / 2 {
		v.Used(1, heard, now)
		switch v.Look(heard, way, true, now) {
		case Ask:
			if asked == 0 {
				asked = now - heard
			}
		case Gone:
			return asked, now - heard
		}
		each(now)
	}
	return asked, 0
}

func TestWhenARuntimeHasGone(t *testing.T) {
	nothing := func(time.Duration) {}
	for name, c := range map[string]struct {
		o           Options
		way         bool
		away        bool
		asked, gone time.Duration
	}{
		"silent":                   {times, true, false, 2 * minute, 5 * minute},
		"silent and not connected": {times, true, true, 2 * minute, 2*minute + minute/2},
		"there is no way":          {times, false, false, 2 * minute, time.Hour},
		"messages wait for ever":   {Options{}, true, true, 0, 0},
	} {
		v := New(c.o)
		each := nothing
		if c.away {
			each = v.Away
		}
		if asked, gone := looks(&v, 10*minute, c.way, each); asked != c.asked || gone != c.gone {
			t.Errorf("%s: asked after %v, gone after %v", name, asked, gone)
		}
	}
}

// What the node said before the runtime was heard of, or before it was asked, counts for nothing.
func TestWhatTheNodeSaidBefore(t *testing.T) {
	v := New(times)
	v.Away(10 * minute)
	if _, gone := looks(&v, 10*minute, true, func(time.Duration) {}); gone != 5*minute {
		t.Errorf("gone after %v", gone)
	}
	v = New(times)
	v.Away(11 * minute)
	if _, gone := looks(&v, 10*minute, true, func(time.Duration) {}); gone != 5*minute {
		t.Errorf("gone after %v, though it was not asked when the node spoke", gone)
	}
}

// A runtime that is heard of is not asked any more, and has all the time again when it falls silent.
func TestHeardOfAgain(t *testing.T) {
	v := New(times)
	if v.Look(minute, true, true, 4*minute) != Ask || v.Look(4*minute, true, true, 5*minute) != Wait || v.Look(4*minute, true, true, 6*minute) != Ask {
		t.Error("another verdict")
	}
	v.Away(6 * minute)
	if v.Look(6*minute+1, true, true, 8*minute+1) != Ask {
		t.Error("what was said before counts")
	}
}

func TestUse(t *testing.T) {
	v := New(times)
	for i, c := range []struct {
		count     uint64
		now, want time.Duration
	}{{0, 2 * minute, 0}, {5, 3 * minute, 3 * minute}, {5, 4 * minute, 3 * minute}, {6, 5 * minute, 5 * minute}} {
		if v.Used(c.count, 0, c.now); v.UsedAt() != c.want {
			t.Errorf("%d: used at %v", i, v.UsedAt())
		}
	}
}

// A runtime for which nothing is kept is asked once after each use, and when its way has gone.
func TestAskedOnce(t *testing.T) {
	v := New(times)
	v.Used(1, minute, minute)
	for i, c := range []struct {
		heard, now time.Duration
		keeps      bool
		want       Verdict
	}{
		{minute, 3 * minute, false, Ask}, {3*minute + 1, 6 * minute, false, Wait}, {3*minute + 1, time.Hour, false, Wait},
		{3*minute + 1, time.Hour, true, Ask},
	} {
		v.Used(1, c.heard, c.now)
		if got := v.Look(c.heard, true, c.keeps, c.now); got != c.want {
			t.Errorf("%d: verdict %d", i, got)
		}
	}
	v.Used(2, time.Hour+1, 2*time.Hour)
	if v.Look(time.Hour+1, true, false, 2*time.Hour) != Ask {
		t.Error("it is not asked after another use")
	}
}
