package memory

import "testing"

// What is sent fits up to the limit, one message always does, and what is given back makes room.
func TestTotal(t *testing.T) {
	var total Total
	total.Limit(100)
	if !total.Fits(1000) {
		t.Error("a single message does not fit")
	}
	total.Sent(60)
	if !total.Fits(40) || total.Fits(41) {
		t.Errorf("with 60 of 100: 40 %v, 41 %v", total.Fits(40), total.Fits(41))
	}
	total.Freed(20)
	if !total.Fits(60) || total.Sending() != 40 {
		t.Errorf("%d are counted", total.Sending())
	}
}

// What waits for listeners is another direction, and full at the limit.
func TestFull(t *testing.T) {
	var total Total
	total.Limit(100)
	total.Sent(500)
	total.Came(99)
	if total.Full() {
		t.Error("full too early")
	}
	if total.Came(1); !total.Full() {
		t.Error("not full")
	}
	if total.Came(-100); total.Full() || total.Waiting() != 0 {
		t.Errorf("%d wait", total.Waiting())
	}
}

// Only sessions that starve are woken, once for however much is freed.
func TestStarve(t *testing.T) {
	var total Total
	total.Limit(100)
	one, other := make(chan struct{}, 1), make(chan struct{}, 1)
	total.Sent(100)
	total.Starve(one, true)
	total.Starve(other, true)
	total.Starve(other, false)
	total.Freed(10)
	total.Freed(10)
	if len(one) != 1 || len(other) != 0 {
		t.Errorf("%d and %d are woken", len(one), len(other))
	}
	<-one
	total.Starve(one, false)
	if total.Freed(10); len(one) != 0 {
		t.Error("a session was woken that does not starve")
	}
}
