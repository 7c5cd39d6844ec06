package object

import (
	"encoding/json"
	"testing"
	"time"
)

// A copy that always differs is fetched six times a minute.
func TestCheckIsBounded(t *testing.T) {
	var c Check
	start := time.Unix(1000, 0)
	now := start
	asked := 0
	for now.Sub(start) < 10*time.Minute {
		if wait := c.Ask(now); wait < 0 {
			t.Fatalf("a wait of %v", wait)
		} else {
			now = now.Add(wait)
		}
		asked++
	}
	if asked < 55 || asked > 66 {
		t.Errorf("%d times in 10 minutes", asked)
	}
	if wait := c.Ask(now.Add(time.Hour)); wait != 0 {
		t.Errorf("after an hour it waits for %v", wait)
	}
}

// A side whose whole values do not have the hashes that it says counts in another way: it is not believed.
func TestCheckOfAnotherKind(t *testing.T) {
	var c Check
	d := parse(t, `{"a":1}`)
	wrong := Update{Hash: "0123456789abcdef"}
	right := NewUpdate(Change{Attribute: "a", Value: json.RawMessage("1")}, 1, "")
	right.Hash = d.Hash()
	c.Whole(Metadata{Hash: d.Hash()}, d)
	if !c.Differs(&wrong, d) || c.Differs(&right, d) || c.Differs(&Update{}, d) {
		t.Error("a hash is not compared")
	}
	c.Whole(Metadata{Hash: wrong.Hash}, d)
	if c.Differs(&wrong, d) {
		t.Error("one that counts otherwise is believed")
	}
	c.Whole(Metadata{}, d)
	if !c.Differs(&wrong, d) {
		t.Error("one that says nothing of the whole is not believed")
	}
}
