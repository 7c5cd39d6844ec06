package missed

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

const (
	bob   message.URL = "hyperty-runtime://b.example/r"
	carol message.URL = "hyperty-runtime://c.example/r"
	room  message.URL = "comm://a.example/room"
	hall  message.URL = "comm://a.example/hall"
)

var begin = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func want(t *testing.T, news News, all bool, objects ...message.URL) {
	t.Helper()
	if news.All != all || !slices.Equal(news.Objects, message.URLs(objects)) || (news.Number > 0) != (all || len(objects) > 0) {
		t.Errorf("told %+v, want all %v, %v", news, all, objects)
	}
}

// A runtime is told of what it has missed until it says that it has heard it; what came since is told then.
func TestToldUntilItIsHeard(t *testing.T) {
	var table Table
	want(t, table.Tell(bob, 0), false)
	table.Add(begin, bob, room)
	table.Add(begin, bob, room)
	first := table.Tell(bob, 0)
	want(t, first, false, room)
	want(t, table.Tell(bob, 0), false, room) // the answer was lost
	want(t, table.Tell(carol, 0), false)
	table.Add(begin, bob, hall)
	second := table.Tell(bob, first.Number)
	want(t, second, false, hall)
	table.Add(begin, bob, hall) // once more, after the answer had left
	want(t, table.Tell(bob, second.Number), false, hall)
	want(t, table.Tell(bob, second.Number+1), false)
	if table.Len() != 0 || table.count != 0 {
		t.Errorf("%d runtimes, %d addresses are left", table.Len(), table.count)
	}
}

// Of many objects only that there are many is remembered.
func TestMany(t *testing.T) {
	var table Table
	for n := range MaxEach {
		table.Add(begin, bob, message.URL(fmt.Sprint(room, n)))
	}
	if news := table.Tell(bob, 0); news.All || len(news.Objects) != MaxEach {
		t.Errorf("told %+v", news)
	}
	table.Add(begin, bob, hall)
	news := table.Tell(bob, 0)
	want(t, news, true)
	if !news.Covers("comm://a.example/any") {
		t.Error("all is not all")
	}
	table.Add(begin, bob, room+"0")
	want(t, table.Tell(bob, news.Number), false, room+"0")
	want(t, table.Tell(bob, news.Number+1), false)
	for n := range MaxAll + 10 {
		table.Add(begin, message.URL(fmt.Sprint(bob, n)), room)
	}
	if table.count != MaxAll {
		t.Errorf("%d addresses are kept", table.count)
	}
	want(t, table.Tell(message.URL(fmt.Sprint(bob, MaxAll+1)), 0), true)
	want(t, table.Tell(bob+"1", 0), false, room)
	table.Forget(bob + "1")
	want(t, table.Tell(bob+"1", 0), false)
	if table.count != MaxAll-1 {
		t.Errorf("%d addresses are kept", table.count)
	}
}

// What nobody asks for is dropped.
func TestExpiry(t *testing.T) {
	var table Table
	table.Add(begin, bob, room)
	table.Add(begin.Add(time.Minute), carol, hall)
	if at, ok := table.Expire(begin); !ok || at != begin.Add(Keep) {
		t.Errorf("due at %v, %v", at, ok)
	}
	if at, ok := table.Expire(begin.Add(Keep)); !ok || at != begin.Add(Keep+time.Minute) || table.Len() != 1 {
		t.Errorf("due at %v, %v; %d are left", at, ok, table.Len())
	}
	if _, ok := table.Expire(begin.Add(2 * Keep)); ok || table.Len() != 0 || table.count != 0 {
		t.Errorf("%d runtimes, %d addresses are left", table.Len(), table.count)
	}
}
