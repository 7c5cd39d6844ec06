package directory

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/registry/table"
	"github.com/protofly/protofly/sdk/message"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func runtimeURL(i int) message.URL {
	return message.URL(fmt.Sprintf("hyperty-runtime://example.com/r%d", i))
}

func address(i int) message.URL {
	return message.URL(fmt.Sprintf("hyperty://example.com/some-%d", i))
}

func live(number uint64, rt *Runtime) *Way {
	return &Way{Number: number, State: message.Live, Direct: bus.Route{Door: rt.URL() + "/door", Remote: rt.URL(), Direct: true}}
}

// check compares the counters with the entries.
func check(t *testing.T, d *Directory) {
	t.Helper()
	type counts struct{ addresses, joined, claims int }
	want := map[*Runtime]*counts{}
	d.Each(func(rt *Runtime) bool { want[rt] = &counts{}; return true })
	announced, claims := 0, 0
	d.addresses.Each(0, table.Shards, func(in *table.Item[Address]) bool {
		a := in.Value
		c := want[a.Runtime]
		if c == nil {
			t.Fatalf("%s lives at a runtime that is not known", in.Key())
		}
		c.addresses++
		if a.joined != 0 && a.joined == a.Runtime.Way().Number {
			c.joined++
		}
		if a.Source != Registered {
			c.claims += weight(in.Key())
			claims += weight(in.Key())
		}
		if a.Source == Announced {
			announced++
		}
		return true
	})
	for rt, c := range want {
		if got := (counts{rt.Addresses(), rt.Joined(), rt.claims.Used()}); got != *c {
			t.Fatalf("%s: counted %+v, there are %+v", rt.URL(), got, *c)
		}
	}
	if d.announced != announced || d.claims.Used() != claims {
		t.Fatalf("counted %d announced and %d bytes, there are %d and %d", d.announced, d.claims.Used(), announced, claims)
	}
}

func TestCountsAgreeWithWhatThereIs(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	d := New(Options{MaxAddresses: 60, MaxRuntimes: 8, MaxListed: 30, MaxAnnounced: 5, CacheTime: time.Minute})
	now, number := noon, uint64(0)
	for step := range 50_000 {
		now = now.Add(time.Duration(random.IntN(500)) * time.Millisecond)
		rt, kept := d.Meet(runtimeURL(random.IntN(10)))
		key := address(random.IntN(100))
		switch random.IntN(8) {
		case 0:
			if kept {
				number++
				rt.SetWay(live(number, rt))
			}
		case 1:
			rt.SetWay(&Way{Number: rt.Way().Number, State: message.Disconnected, Wake: true})
		case 2:
			d.Forget(key)
		case 3:
			d.Join(key)
		case 4:
			d.GiveUp(rt, key, now)
		case 5:
			d.Sweep(now, func(*Runtime) bool { return true })
		default:
			if kept {
				d.Learn(rt, key, Source(random.IntN(4)), now)
			}
		}
		if d.Addresses() > 60 || d.Runtimes() > 8 {
			t.Fatalf("%d addresses of %d runtimes", d.Addresses(), d.Runtimes())
		}
		if step%100 == 0 {
			check(t, d)
		}
	}
}

// An address that moves while the table is full has a place in it already: no other entry is dropped.
func TestAnAddressMovesInAFullTable(t *testing.T) {
	for n := range 30 {
		d := New(Options{MaxAddresses: 3})
		old, _ := d.Meet(runtimeURL(1))
		heir, _ := d.Meet(runtimeURL(2))
		for i := range 3 {
			d.Learn(old, address(n+i), Registered, noon)
		}
		version := d.Version()
		if got := d.Learn(heir, address(n), Registered, noon); got != Entered {
			t.Fatal(got)
		}
		check(t, d)
		if d.Addresses() != 3 || d.Version() == version {
			t.Errorf("%d addresses, version %d after %d", d.Addresses(), d.Version(), version)
		}
	}
}

func TestWhoseWordCounts(t *testing.T) {
	d := New(Options{May: func(address, _ message.URL) bool { return address != "hyperty://example.com/pinned" }})
	one, _ := d.Meet(runtimeURL(1))
	other, _ := d.Meet(runtimeURL(2))
	const x, pinned message.URL = "hyperty://example.com/x", "hyperty://example.com/pinned"
	for i, step := range []struct {
		rt   *Runtime
		key  message.URL
		from Source
		want Learned
	}{
		{one, x, Announced, Entered}, {other, x, Listed, Refused}, {one, x, Listed, Known}, {one, x, Announced, Known},
		{other, x, Registered, Entered}, {one, x, Listed, Refused},
		{one, pinned, Listed, Refused}, {one, pinned, Registered, Entered},
	} {
		if got := d.Learn(step.rt, step.key, step.from, noon); got != step.want {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
	if a, _ := d.Find(x); a.Runtime != other || a.Source != Registered {
		t.Errorf("%+v", a)
	}
}

func TestJoinedOnceForEachConnection(t *testing.T) {
	d := New(Options{})
	rt, _ := d.Meet(runtimeURL(1))
	d.Learn(rt, address(1), Listed, noon)
	if _, join := d.Direct(address(1)); join {
		t.Error("to be joined without a connection")
	}
	if _, joined := d.Join(address(1)); joined {
		t.Error("joined without a connection")
	}
	for number := uint64(1); number < 4; number++ {
		if !rt.SetWay(live(number, rt)) && number == 1 {
			t.Error("a first connection is no change")
		}
		way, join := d.Direct(address(1).Join("part"))
		if way == nil || !join {
			t.Fatalf("%+v %v", way, join)
		}
		if _, joined := d.Join(address(1)); !joined || rt.Joined() != 1 {
			t.Errorf("connection %d: %v, %d joined", number, joined, rt.Joined())
		}
		if _, joined := d.Join(address(1)); joined {
			t.Error("joined twice")
		}
	}
	if way, _ := d.Direct(runtimeURL(1).Join("sm")); way == nil {
		t.Error("a component has no way")
	}
}

func TestWhatExpiresAndWhatStays(t *testing.T) {
	d := New(Options{CacheTime: time.Minute})
	idle, _ := d.Meet(runtimeURL(1))
	busy, _ := d.Meet(runtimeURL(2))
	busy.SetWay(live(1, busy))
	d.Learn(idle, address(1), Listed, noon)
	d.Learn(busy, address(2), Listed, noon)
	round := func(now time.Time, mayGo bool) {
		for range table.Shards / sweepShards {
			d.Sweep(now, func(rt *Runtime) bool { return mayGo && rt != busy })
		}
	}
	round(noon.Add(time.Minute), true)
	if d.Addresses() != 2 {
		t.Error("an address is gone before its time")
	}
	round(noon.Add(2*time.Minute), false)
	if _, ok := d.Find(address(1)); ok || d.Runtimes() != 2 {
		t.Errorf("expired: %v, %d runtimes", !ok, d.Runtimes())
	}
	round(noon.Add(2*time.Minute), true)
	if _, ok := d.Find(address(2)); !ok || d.Runtimes() != 1 {
		t.Errorf("of a live connection: %v; %d runtimes", ok, d.Runtimes())
	}
}

func TestAnnouncedAddressesLeadOnlyOverALiveConnection(t *testing.T) {
	d := New(Options{MaxAnnounced: 2, MaxListed: 4})
	rt, _ := d.Meet(runtimeURL(1))
	for i, want := range []Learned{Entered, Entered, Refused} {
		if got := d.Learn(rt, address(i), Announced, noon); got != want {
			t.Errorf("number %d: %v", i, got)
		}
	}
	a, _ := d.Find(address(0))
	if a.Leads() {
		t.Error("it leads without a connection")
	}
	rt.SetWay(live(1, rt))
	if !a.Leads() {
		t.Error("it does not lead")
	}
	for i, want := range []Learned{Joined, Joined, Joined, Joined, Refused} {
		if got := d.Learn(rt, address(i), Announced, noon); got != want {
			t.Errorf("number %d over a connection: %v", i, got)
		}
	}
}
