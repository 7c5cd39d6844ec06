package life

import (
	"testing"
	"time"

	"github.com/protofly/protofly/internal/object"
)

var begin = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func after(d time.Duration) time.Time { return begin.Add(d) }

func wantDue(t *testing.T, at time.Time, ok bool, want time.Duration) {
	t.Helper()
	if ok != (want >= 0) || ok && !at.Equal(after(want)) {
		t.Errorf("due %v after the beginning (%v), want %v", at.Sub(begin), ok, want)
	}
}

const never = -1

func TestReportedObject(t *testing.T) {
	r := NewReported(time.Minute, false)
	at, ok := r.Due()
	wantDue(t, at, ok, never)
	r.Leave(after(time.Second))
	r.Leave(after(30 * time.Second)) // its runtime is told twice
	at, ok = r.Due()
	wantDue(t, at, ok, 61*time.Second)
	if since, away := r.Away(); !away || !since.Equal(after(time.Second)) {
		t.Errorf("away %v since %v", away, since)
	}
	r.Back()
	at, ok = r.Due()
	wantDue(t, at, ok, never)
	if _, away := r.Away(); away {
		t.Error("it is away still")
	}
	r.Leave(after(time.Hour)) // the grace time is as long the second time
	at, ok = r.Due()
	wantDue(t, at, ok, time.Hour+time.Minute)
}

func TestWhatAnObjectSurvives(t *testing.T) {
	for _, c := range []struct {
		name         string
		life         Reported
		closed, lost bool
	}{
		{"the default", NewReported(DefaultGrace, false), false, true},
		{"asked for", NewReported(time.Second, true), true, true},
		{"for ever", NewReported(object.Forever, true), true, true},
		{"nothing", NewReported(0, true), false, false},
		{"the zero value", Reported{}, false, false},
	} {
		if got := c.life.Survives(true); got != c.closed {
			t.Errorf("%s: survives its application's Close: %v", c.name, got)
		}
		if got := c.life.Survives(false); got != c.lost {
			t.Errorf("%s: survives its application's death: %v", c.name, got)
		}
	}
	r := NewReported(object.Forever, true)
	r.Leave(begin)
	at, ok := r.Due()
	wantDue(t, at, ok, never)
}

func TestObservedObjectOfALostRuntime(t *testing.T) {
	for _, c := range []struct{ grace, due time.Duration }{
		{0, UnreachableTime}, {time.Minute, UnreachableTime}, {time.Hour, time.Hour}, {object.Forever, never},
	} {
		var o Observed
		o.Told(c.grace, true, false, time.Time{})
		if at, ok := o.Due(); ok || !o.Away().IsZero() {
			t.Fatalf("grace %v: due %v, away since %v, and nothing has happened", c.grace, at, o.Away())
		}
		o.Lost(begin)
		o.Lost(after(time.Minute))
		at, ok := o.Due()
		wantDue(t, at, ok, c.due)
		if !o.Away().Equal(begin) {
			t.Errorf("grace %v: away since %v", c.grace, o.Away())
		}
		o.Told(c.grace, true, false, time.Time{}) // it is back
		if _, ok := o.Due(); ok || !o.Away().IsZero() {
			t.Errorf("grace %v: it is away still", c.grace)
		}
	}
	var old Observed // its runtime says nothing of lives, and is asked nothing
	old.Lost(begin)
	if _, ok := old.Due(); ok || old.Known() || !old.Away().IsZero() {
		t.Error("an object of an earlier version is away")
	}
}

// The reporter is away, as its runtime says, before that runtime is lost: the earlier moment counts for people, the later one for the end.
func TestAwayAndThenLost(t *testing.T) {
	var o Observed
	o.Told(time.Minute, true, false, begin)
	if _, ok := o.Due(); ok {
		t.Error("its runtime decides while it is there")
	}
	o.Lost(after(20 * time.Second))
	at, ok := o.Due()
	wantDue(t, at, ok, 20*time.Second+UnreachableTime)
	if !o.Away().Equal(begin) {
		t.Errorf("away since %v", o.Away())
	}
}

func TestRuntimeThatDoesNotKnowTheObject(t *testing.T) {
	for _, c := range []struct {
		name        string
		grace       time.Duration
		known, keep bool
		wait        time.Duration
	}{
		{"no grace time", 0, true, false, 0},
		{"a minute", time.Minute, true, false, time.Minute},
		{"for ever", object.Forever, true, false, UnknownTime},
		{"for ever, and kept", object.Forever, true, true, 0},
		{"an earlier version", 0, false, false, 0},
	} {
		var o Observed
		o.Told(c.grace, c.known, c.keep, time.Time{})
		if o.Unknown(after(time.Hour)) {
			t.Errorf("%s: unknown, and nobody has said so", c.name)
		}
		o.Lost(begin)
		o.Missed(begin)
		o.Missed(after(c.wait))
		if _, ok := o.Due(); ok {
			t.Errorf("%s: its runtime answers, so it is not lost", c.name)
		}
		if o.Unknown(after(c.wait - 1)) {
			t.Errorf("%s: given up too early", c.name)
		}
		if !o.Unknown(after(c.wait)) {
			t.Errorf("%s: not given up", c.name)
		}
	}
}

// A runtime dies at the worst moment: it is lost within a minute, told once, and found again when it answers.
func TestContact(t *testing.T) {
	c := NewContact(begin)
	now, lost := begin, 0
	ask := func(life string) (returned bool) {
		t.Helper()
		at, ok := c.Due()
		if !ok {
			t.Fatal("not due while nobody asks")
		}
		now = at
		c.Ask()
		if _, ok := c.Due(); ok {
			t.Fatal("asked twice at once")
		}
		if life != "" {
			return c.Answered(now, life)
		}
		now = now.Add(AskTime)
		if c.Failed(now) {
			lost++
		}
		return false
	}
	if ask("one") || !now.Equal(after(AskEvery)) || ask("one") || !now.Equal(after(2*AskEvery)) {
		t.Fatalf("asked at %v", now.Sub(begin))
	}
	died := now
	ask("")
	if _, gone := c.Heard(); gone {
		t.Error("lost after one question without an answer")
	}
	ask("")
	if at, gone := c.Heard(); !gone || !at.Equal(died) || lost != 1 {
		t.Errorf("heard at %v, lost %v", at.Sub(begin), gone)
	}
	if d := now.Sub(died); d > time.Minute {
		t.Errorf("lost %v after its death", d)
	}
	for range 20 {
		before := now
		ask("")
		if pause := now.Sub(before) - AskTime; pause < lostFirst || pause > lostLast {
			t.Errorf("asked again after %v", pause)
		}
	}
	if lost != 1 {
		t.Errorf("told %d times", lost)
	}
	if !ask("one") {
		t.Error("it is not back")
	}
	if ask("one") {
		t.Error("back twice")
	}
	ask("")
	if ask("one") {
		t.Error("one question without an answer is nothing")
	}
	if !ask("two") {
		t.Error("another life is not noticed")
	}
}
