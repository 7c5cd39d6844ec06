package process

import (
	"testing"
	"time"
)

func TestOffences(t *testing.T) {
	var o offences
	now := time.Unix(1000, 0)
	for n := range maxOffences {
		if o.add(now) {
			t.Fatalf("offence %d is one too many", n)
		}
	}
	if !o.add(now) || !o.add(now.Add(offenceEvery/2)) {
		t.Error("one more is let pass")
	}
	if o.add(now.Add(offenceEvery)) || !o.add(now.Add(offenceEvery)) {
		t.Error("after the time for one, not just one is forgotten")
	}
	for n := range 10 * maxOffences { // who offends rarely is never too often
		if o.add(now.Add(time.Hour + time.Duration(n)*offenceEvery)) {
			t.Fatal("rare offences add up")
		}
	}
	if o.add(now) { // a clock that goes back
		t.Error("a clock that goes back counts")
	}
}
