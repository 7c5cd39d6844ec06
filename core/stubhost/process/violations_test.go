package process

import (
	"testing"
	"time"
)

func TestViolations(t *testing.T) {
	var o violations
	now := time.Unix(1000, 0)
	for n := range maxViolations {
		if o.add(now) {
			t.Fatalf("violation %d is one too many", n)
		}
	}
	if !o.add(now) || !o.add(now.Add(forgetEvery/2)) {
		t.Error("one more is let pass")
	}
	if o.add(now.Add(forgetEvery)) || !o.add(now.Add(forgetEvery)) {
		t.Error("after the time for one, not just one is forgotten")
	}
	for n := range 10 * maxViolations { // violations that are rare enough are forgotten
		if o.add(now.Add(time.Hour + time.Duration(n)*forgetEvery)) {
			t.Fatal("rare violations add up")
		}
	}
	if o.add(now) { // with a clock that goes back
		t.Error("a clock that goes back counts")
	}
}
