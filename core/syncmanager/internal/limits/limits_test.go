package limits

import (
	"strings"
	"testing"

	"github.com/protofly/protofly/sdk/message"
)

const (
	bob    message.URL = "hyperty://a.example/bob"
	remote message.URL = "hyperty-runtime://b.example/r"
)

func TestWhatIsTakenBackIsFree(t *testing.T) {
	u := New(Limits{Objects: 3, PerComponent: 1, Bytes: 10})
	if u.Reporter(bob, 2) != nil || u.Reporter(bob, 3) == nil || u.Objects(2) != nil || u.Objects(3) == nil || u.Observer(bob) != nil {
		t.Error("objects in all")
	}
	u.AddReported(bob, 1)
	u.AddObserved(bob, 1)
	if u.Reporter(bob, 0) == nil || u.Observer(bob) == nil || u.Reporter("hyperty://a.example/bea", 0) != nil {
		t.Error("objects of one component")
	}
	u.AddReported(bob, -1)
	u.AddObserved(bob, -1)
	if u.Grow(11) == nil || u.Grow(10) != nil || u.Grow(1) == nil || u.Grow(0) != nil || u.Grow(-10) != nil {
		t.Error("bytes of data")
	}
	observer := message.URL(strings.Repeat("x", 1<<20))
	n := 0
	for n < 9 && u.AddRemote(remote, observer) == nil {
		n++
	}
	if n != 3 || u.AddRemote("hyperty-runtime://c.example/r", observer) != nil {
		t.Errorf("%d MiB of one runtime", n)
	}
	u.DropRemote("hyperty-runtime://c.example/r", observer)
	for range n {
		u.DropRemote(remote, observer)
	}
	if a, b, c, d := u.Counts(); a+b+c+d != 0 {
		t.Errorf("counted still: %d reporters, %d observers, %d runtimes, %d bytes", a, b, c, d)
	}
}

func TestZeroLimitsAreDefaults(t *testing.T) {
	if l := New(Limits{Remotes: 7}).Limits(); l.Objects != 1<<16 || l.PerComponent != 1<<14 || l.Observers != 1<<10 || l.Remotes != 7 || l.Bytes != 256<<20 {
		t.Errorf("%+v", l)
	}
}
