package quota

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"testing"
	"time"
)

func sourceOf(n int) Source {
	return Source{netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, byte(n >> 8), byte(n)}), 32)}
}

// A source with many places loses them to others; a source with one keeps it until it has had time enough.
func TestConnections(t *testing.T) {
	now := time.Unix(1000, 0)
	g := NewConnections(4, 10, 2)
	arrive := func(from int) (*Ticket, Verdict, *Ticket) {
		now = now.Add(time.Millisecond)
		tk := &Ticket{From: sourceOf(from), Since: now}
		v, evicted := g.Arrive(tk)
		return tk, v, evicted
	}
	var mine []*Ticket
	for range 4 {
		tk, v, _ := arrive(1)
		if v != Welcome {
			t.Fatal(v)
		}
		mine = append(mine, tk)
	}
	if _, v, _ := arrive(1); v != Overfull {
		t.Errorf("a fifth of the same source: %v", v)
	}
	two, v, evicted := arrive(2)
	if v != Welcome || evicted != mine[0] {
		t.Errorf("another source: %v, %v made room", v, evicted)
	}
	if _, v, evicted := arrive(3); v != Welcome || evicted != mine[1] {
		t.Errorf("a third source: %v", v)
	}
	if _, v, evicted := arrive(4); v != Welcome || evicted != mine[2] { // it has two places, the newcomer's source none
		t.Errorf("a fourth source: %v", v)
	}
	if _, v, _ := arrive(5); v != Overfull { // everybody has one place, none is old
		t.Errorf("a fifth source: %v", v)
	}
	now = now.Add(settleTime)
	if _, v, evicted := arrive(5); v != Welcome || evicted != mine[3] {
		t.Errorf("a fifth source, later: %v", v)
	}
	first, _ := g.Enter(two, false)
	again, _ := g.Enter(two, false)
	if !first || !again || g.inside != 1 || g.waiting != 3 {
		t.Errorf("entered: %+v", g)
	}
	g.Leave(two)
	g.Leave(two)
	if g.inside != 0 || g.sources[sourceOf(2)] != nil {
		t.Errorf("left: %+v", g)
	}
}

func TestConnectionsPerSource(t *testing.T) {
	g := NewConnections(100, 2, 100)
	a, b := &Ticket{From: sourceOf(1)}, &Ticket{From: sourceOf(1)}
	g.Arrive(a)
	g.Arrive(b)
	if v, _ := g.Arrive(&Ticket{From: sourceOf(1)}); v != Crowded {
		t.Errorf("a third: %v", v)
	}
	g.Enter(a, false) // an attached connection counts too
	if v, _ := g.Arrive(&Ticket{From: sourceOf(1)}); v != Crowded {
		t.Errorf("a third: %v", v)
	}
	proxied := &Ticket{}
	g.Arrive(proxied)
	if v := g.Move(proxied, sourceOf(1)); v != Crowded {
		t.Errorf("behind a proxy: %v", v)
	}
	g.Leave(b)
	if v := g.Move(proxied, sourceOf(1)); v != Welcome || g.sources[sourceOf(1)].all != 2 {
		t.Errorf("behind a proxy, with room: %v", v)
	}
	for range 50 {
		if v, _ := g.Arrive(&Ticket{}); v != Welcome { // the zero source: no bound by address
			t.Fatal(v)
		}
	}
}

// No source makes room for one that would then have as many attached connections, or more.
func TestConnectionsKeepsWhoHasNoMoreThanTheOther(t *testing.T) {
	g := NewConnections(10, 10, 3)
	attach := func(from int) (ok bool, evicted *Ticket) {
		tk := &Ticket{From: sourceOf(from)}
		g.Arrive(tk)
		return g.Enter(tk, false)
	}
	for _, from := range []int{1, 1, 2} {
		if ok, evicted := attach(from); !ok || evicted != nil {
			t.Fatalf("of source %d: %v, %v made room", from, ok, evicted)
		}
	}
	if !g.Full(sourceOf(2)) || g.Full(sourceOf(3)) {
		t.Error("it is not full for the source that would then have the most, or it is for the one that has none")
	}
	if ok, evicted := attach(2); ok || evicted != nil {
		t.Errorf("a second of the other source: %v, %v made room", ok, evicted)
	}
	if ok, evicted := attach(3); !ok || evicted == nil || evicted.From != sourceOf(1) {
		t.Errorf("one of a third source: %v, %v made room", ok, evicted)
	}
}

// A connection that has left before it enters takes no place, and one that has entered takes no second one.
func TestConnectionsLetsNobodyInTwiceOrLate(t *testing.T) {
	g := NewConnections(10, 10, 10)
	late, twice := &Ticket{From: sourceOf(1)}, &Ticket{From: sourceOf(2)}
	g.Arrive(late)
	g.Arrive(twice)
	g.Leave(late)
	if ok, evicted := g.Enter(late, false); ok || evicted != nil {
		t.Errorf("one that has gone: %v, %v", ok, evicted)
	}
	for range 2 {
		if ok, evicted := g.Enter(twice, true); !ok || evicted != nil {
			t.Errorf("one that enters: %v, %v", ok, evicted)
		}
	}
	if waiting, attached := g.Held(); waiting != 0 || attached != 1 {
		t.Errorf("%d wait and %d are attached, want none and one", waiting, attached)
	}
}

// Whatever happens in whatever order, the counts are those of the connections that exist.
func TestConnectionsCounts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	g := NewConnections(20, 5, 10)
	now := time.Unix(0, 0)
	live := map[*Ticket]bool{}
	for step := range 20_000 {
		now = now.Add(time.Duration(r.IntN(100)) * time.Millisecond)
		var some *Ticket
		for tk := range live {
			some = tk
			break
		}
		switch k := r.IntN(4); {
		case k == 0 || some == nil:
			tk := &Ticket{From: sourceOf(r.IntN(12)), Since: now}
			v, evicted := g.Arrive(tk)
			if v == Welcome {
				live[tk] = true
			}
			delete(live, evicted)
		case k == 1:
			if _, evicted := g.Enter(some, r.IntN(10) == 0); evicted != nil {
				delete(live, evicted)
			}
		case k == 2:
			g.Move(some, sourceOf(r.IntN(12)))
		default:
			g.Leave(some)
			delete(live, some)
		}
		waiting, inside, all := 0, 0, map[Source]int{}
		for tk := range live {
			if tk.in {
				inside++
			} else {
				waiting++
			}
			all[tk.From]++
		}
		if waiting != g.waiting || inside != g.inside || len(all) != len(g.sources) || waiting > g.unproven {
			t.Fatalf("step %d: %d wait and %d are inside, it counts %d and %d", step, waiting, inside, g.waiting, g.inside)
		}
		for s, n := range all {
			if g.sources[s].all != n || n > g.perSource {
				t.Fatalf("step %d: %v has %d, it counts %d", step, s, n, g.sources[s].all)
			}
		}
	}
}

// A million keys: the memory is bounded, and the keys in use are not forgotten for them.
func TestBucketsAreBounded(t *testing.T) {
	b := NewBuckets[int](1, 10)
	now := time.Unix(1000, 0)
	for i := range 10 {
		if _, ok := b.Take(-1, 1, now); !ok {
			t.Fatal(i)
		}
	}
	for i := range 1_000_000 {
		b.Take(i, 1, now)
		if i%1000 == 0 {
			if wait, ok := b.Take(-1, 1, now); ok || wait != time.Second {
				t.Fatalf("after %d others: %v %v", i, wait, ok)
			}
		}
	}
	if b.len() != maxBuckets {
		t.Errorf("%d buckets", b.len())
	}
	if _, ok := b.Take(-1, 1000, now.Add(time.Hour)); !ok { // more than a bucket holds costs a full one
		t.Error("a large one is never allowed")
	}
	if _, ok := b.Take(-1, 1, now.Add(time.Hour)); ok {
		t.Error("a large one cost little")
	}
}

func TestSources(t *testing.T) {
	s := Sources{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Exempt: LoopbackNetworks()}
	for _, c := range []struct{ remote, forwarded, want string }{
		{"192.0.2.1:5", "", "192.0.2.1/32"},
		{"[::ffff:192.0.2.1]:5", "", "192.0.2.1/32"},
		{"[2001:db8:1:2:3::4]:5", "", "2001:db8:1:2::/64"},
		{"[fe80::1%eth0]:5", "", "fe80::/64"},
		{"127.0.0.1:5", "", ""},
		{"192.0.2.1:5", "198.51.100.7", "192.0.2.1/32"}, // not a proxy: its header is ignored
		{"10.1.1.1:5", "198.51.100.7", "198.51.100.7/32"},
		{"10.1.1.1:5", "203.0.113.9, 198.51.100.7, 10.2.2.2", "198.51.100.7/32"}, // what stands before was written by strangers
		{"10.1.1.1:5", "[2001:db8::1]", "2001:db8::/64"},
		{"10.1.1.1:5", "nonsense", ""},
		{"10.1.1.1:5", "", ""},
		{"10.1.1.1:5", "127.0.0.1", ""},
		{"nonsense", "198.51.100.7", ""},
	} {
		r := &http.Request{RemoteAddr: c.remote, Header: http.Header{}}
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		got := ""
		if from := s.Client(r); from.IsValid() {
			got = from.String()
		}
		if got != c.want {
			t.Errorf("%s, %q: %q, want %q", c.remote, c.forwarded, got, c.want)
		}
	}
	s.Off = true
	if s.Client(&http.Request{RemoteAddr: "192.0.2.1:5"}).IsValid() {
		t.Error("counted by address where a proxy that is not known stands before")
	}
}

func FuzzForwarded(f *testing.F) {
	f.Add("10.0.0.1:5", "192.0.2.1, 10.0.0.2")
	f.Add("10.0.0.1:5", "[::1%x],,,")
	s := Sources{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	f.Fuzz(func(t *testing.T, remote, forwarded string) {
		from := s.Client(&http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {forwarded}}})
		if from.IsValid() && (from.Addr().Is4() && from.Bits() != 32 || from.Addr().Is6() && from.Bits() != 64) {
			t.Error(fmt.Sprint(from))
		}
	})
}

// If all places are taken, the source with the most makes room for others, and not for itself.
func TestConnectionsIsShared(t *testing.T) {
	g := NewConnections(100, 100, 4)
	enter := func(from Source) (*Ticket, bool, *Ticket) {
		tk := &Ticket{From: from}
		g.Arrive(tk)
		ok, evicted := g.Enter(tk, false)
		return tk, ok, evicted
	}
	for range 3 {
		enter(sourceOf(1))
	}
	last, _, _ := enter(sourceOf(1))
	if _, ok, _ := enter(sourceOf(1)); ok || !g.Full(sourceOf(1)) || g.Full(sourceOf(2)) {
		t.Error("a fifth of the same source")
	}
	if _, ok, evicted := enter(sourceOf(2)); !ok || evicted != last || g.inside != 4 {
		t.Errorf("another source: %v", ok)
	}
	if _, ok, evicted := enter(sourceOf(2)); !ok || evicted == nil { // two and two
		t.Errorf("its second: %v", ok)
	}
	if _, ok, _ := enter(sourceOf(2)); ok {
		t.Error("its third")
	}
	nobody := NewConnections(100, 100, 2)
	for range 2 {
		tk := &Ticket{}
		nobody.Arrive(tk)
		nobody.Enter(tk, false)
	}
	if !nobody.Full(sourceOf(1)) {
		t.Error("those that no address is counted for make room")
	}
}
