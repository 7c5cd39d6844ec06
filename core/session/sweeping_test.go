package session

import (
	"testing"
	"time"
)

// Whoever was about to have idle sessions looked for when everything ended leaves no timer behind.
func TestNoSweepAfterTheEnd(t *testing.T) {
	var w sweeping
	w.soon(time.Hour, 1, func() {})
	w.stop()
	w.began()
	if w.soon(time.Hour, 1, func() {}); w.timer != nil {
		w.timer.Stop()
		t.Error("a timer runs after the end")
	}
}
