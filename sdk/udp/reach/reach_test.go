package reach

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPolicy(t *testing.T) {
	all := Policy{Loopback: true, Private: true, Broadcasts: []netip.Addr{netip.MustParseAddr("192.0.2.255"), netip.MustParseAddr("127.255.255.255")}}
	for _, c := range []struct {
		at          string
		strict, all error
	}{
		{"192.0.2.7:4433", nil, nil},
		{"[2001:db8::7]:4433", nil, nil},
		{"[::ffff:192.0.2.7]:4433", nil, nil},
		{"192.0.2.7:0", ErrPort, ErrPort},
		{"127.0.0.1:1", ErrLoopback, nil},
		{"127.8.8.8:1", ErrLoopback, nil},
		{"[::1]:1", ErrLoopback, nil},
		{"[::ffff:127.0.0.1]:1", ErrLoopback, nil},
		{"10.0.0.1:1", ErrPrivate, nil},
		{"172.31.255.1:1", ErrPrivate, nil},
		{"172.32.0.1:1", nil, nil},
		{"192.168.1.1:1", ErrPrivate, nil},
		{"100.64.0.1:1", ErrPrivate, nil},
		{"[fd00::1]:1", ErrPrivate, nil},
		{"[fec0::1]:1", ErrPrivate, nil},
		{"[::ffff:10.0.0.1]:1", ErrPrivate, nil},
		{"169.254.169.254:1", ErrLinkLocal, ErrLinkLocal},
		{"[fe80::1]:1", ErrLinkLocal, ErrLinkLocal},
		{"[fe80::1%eth0]:1", ErrZone, ErrZone},
		{"[2001:db8::1%eth0]:1", ErrZone, ErrZone},
		{"224.0.0.1:1", ErrMulticast, ErrMulticast},
		{"[ff02::1]:1", ErrMulticast, ErrMulticast},
		{"255.255.255.255:1", ErrBroadcast, ErrBroadcast},
		{"[::ffff:255.255.255.255]:1", ErrBroadcast, ErrBroadcast},
		{"192.0.2.255:1", nil, ErrBroadcast},
		{"127.255.255.255:1", ErrLoopback, ErrBroadcast}, // a broadcast address too, also where loopback addresses are taken
		{"0.0.0.0:1", ErrUnspecified, ErrUnspecified},
		{"[::]:1", ErrUnspecified, ErrUnspecified},
		{"[::ffff:0.0.0.0]:1", ErrUnspecified, ErrUnspecified},
		{"0.1.2.3:1", ErrReserved, ErrReserved},
		{"250.1.2.3:1", ErrReserved, ErrReserved},
		{"[::127.0.0.1]:1", ErrReserved, ErrReserved},
		{"[::ffff:0:127.0.0.1]:1", ErrReserved, ErrReserved},
		{"[64:ff9b::127.0.0.1]:1", ErrLoopback, nil},
		{"[64:ff9b::10.0.0.1]:1", ErrPrivate, nil},
		{"[64:ff9b::224.0.0.1]:1", ErrMulticast, ErrMulticast},
		{"[64:ff9b::192.0.2.7]:1", nil, nil},
		{"[64:ff9b:1::192.0.2.7]:1", ErrPrivate, ErrUnspecified},
		{"[2002:7f00:1::1]:1", ErrLoopback, nil},
		{"[2002:a9fe:a9fe::1]:1", ErrLinkLocal, ErrLinkLocal},
		{"[2002:c000:207::1]:1", nil, nil},
		{"[2001:0:c000:207::80ff:fffe]:1", ErrLoopback, nil}, // Teredo: the client 127.0.0.1
		{"[2001:db8::5efe:10.0.0.1]:1", ErrPrivate, nil},
		{"[2001:db8::200:5efe:127.0.0.1]:1", ErrLoopback, nil},
	} {
		at := netip.MustParseAddrPort(c.at)
		for policy, want := range map[*Policy]error{{}: c.strict, &all: c.all} {
			err := policy.Check(at)
			if !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Errorf("%s with %+v: %v, want %v", c.at, *policy, err, want)
			}
			var refusal *Refusal
			if err != nil && !errors.As(err, &refusal) {
				t.Errorf("%s: the error has no type: %v", c.at, err)
			}
		}
	}
	if err := all.Check(netip.AddrPort{}); !errors.Is(err, ErrInvalid) {
		t.Errorf("the zero address: %v", err)
	}
}

func TestBroadcastOf(t *testing.T) {
	for network, want := range map[string]string{"10.1.2.3/24": "10.1.2.255", "10.1.2.3/9": "10.127.255.255", "10.1.2.3/31": "", "2001:db8::1/64": ""} {
		got, ok := BroadcastOf(netip.MustParsePrefix(network))
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%s: %v, %v; want %q", network, got, ok, want)
		}
	}
}

// One peer names few addresses, whatever it writes.
func TestCandidates(t *testing.T) {
	var c Candidates
	took := 0
	for i := range 10_000 {
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(2 + i%100), 7}), uint16(1+i/100))
		fresh, err := c.Add(at)
		if fresh {
			took++
		}
		if fresh == (err != nil) || err != nil && !errors.Is(err, ErrTooMany) {
			t.Fatalf("%s: %v, %v", at, fresh, err)
		}
		again, err := c.Add(netip.AddrPortFrom(netip.AddrFrom16(at.Addr().As16()), at.Port()))
		if again || (err == nil) != fresh {
			t.Fatalf("%s again: %v, %v", at, again, err)
		}
	}
	if took != MaxCandidates || c.Len() != took {
		t.Errorf("%d addresses were taken, %d are there", took, c.Len())
	}
	if fresh, err := c.Add(netip.MustParseAddrPort("127.0.0.1:1")); fresh || !errors.Is(err, ErrLoopback) {
		t.Errorf("a loopback address: %v, %v", fresh, err)
	}
	var ports Candidates
	for port := range uint16(100) {
		_, _ = ports.Add(netip.AddrPortFrom(netip.MustParseAddr("192.0.2.7"), port))
	}
	if ports.Len() != MaxPorts {
		t.Errorf("%d ports of one address", ports.Len())
	}
}

var began = time.Unix(1_000_000, 0)

// sent sends datagrams of size bytes until the budget ends, at most n.
func sent(b *Budget, remote, at string, size, n int, now time.Time) int {
	for i := range n {
		if !b.Allow(remote, netip.MustParseAddrPort(at), size, now) {
			return i
		}
	}
	return n
}

func TestBudget(t *testing.T) {
	limits := Limits{
		Host: Amount{Datagrams: 20, Bytes: 10_000}, Remote: Amount{Datagrams: 40, Bytes: 30_000},
		All: Amount{Datagrams: 100, Bytes: 100_000}, Refill: time.Minute,
	}
	t.Run("one host", func(t *testing.T) {
		b := NewBudget(limits)
		if n := sent(b, "eve", "192.0.2.7:1", 100, 1000, began); n != 10 {
			t.Errorf("one peer: %d", n)
		}
		if n := sent(b, "eve", "192.0.2.7:2", 100, 1000, began); n != 0 {
			t.Errorf("another port of the host: %d", n)
		}
		if n := sent(b, "mallory", "192.0.2.7:1", 100, 1000, began); n != 10 {
			t.Errorf("a second peer: %d", n)
		}
		if n := sent(b, "trudy", "192.0.2.7:1", 100, 1000, began); n != 0 {
			t.Errorf("a third: %d", n)
		}
		if n := sent(b, "eve", "192.0.2.8:1", 1000, 1000, began); n != 5 {
			t.Errorf("bytes: %d", n)
		}
		if n := sent(b, "eve", "192.0.2.7:1", 100, 1000, began.Add(30*time.Second)); n != 5 {
			t.Errorf("half a minute later: %d", n)
		}
	})
	t.Run("a network of IPv6 is one host", func(t *testing.T) {
		b := NewBudget(limits)
		if n := sent(b, "eve", "[2001:db8::1]:1", 1, 1000, began) + sent(b, "eve", "[2001:db8::2]:1", 1, 1000, began); n != 10 {
			t.Errorf("%d", n)
		}
		if n := sent(b, "eve", "[::ffff:192.0.2.7]:1", 1, 1000, began) + sent(b, "eve", "192.0.2.7:1", 1, 1000, began); n != 10 {
			t.Errorf("two writings of an IPv4 address: %d", n)
		}
	})
	t.Run("one peer", func(t *testing.T) {
		b, n := NewBudget(limits), 0
		for i := range 100 {
			n += sent(b, "eve", fmt.Sprintf("192.0.2.%d:1", i), 100, 1000, began)
		}
		if n != 40 {
			t.Errorf("%d", n)
		}
	})
	t.Run("all, and half of it for the proven", func(t *testing.T) {
		b, n := NewBudget(limits), 0
		for i := range 100 {
			n += sent(b, fmt.Sprint("eve", i), fmt.Sprintf("192.0.2.%d:1", i), 100, 1000, began)
		}
		if n != 50 {
			t.Errorf("strangers: %d", n)
		}
		b.Proven("bob", began)
		if n := sent(b, "bob", "198.51.100.1:1", 100, 1000, began); n != 10 {
			t.Errorf("for a proven peer: %d", n)
		}
		if n := sent(b, "bob", "198.51.100.2:1", 100, 1000, began.Add(answerHolds)); n != 10 {
			t.Errorf("later: %d", n)
		}
	})
	t.Run("answers", func(t *testing.T) {
		b := NewBudget(limits)
		bob, other := "192.0.2.7:1", "192.0.2.7:2"
		if sent(b, "bob", bob, 100, 6, began) != 6 || sent(b, "bob", other, 100, 2, began) != 2 {
			t.Fatal("no budget")
		}
		b.Answered(netip.MustParseAddrPort(bob), began)
		if n := sent(b, "bob", bob, 100, 1000, began); n != 1000 {
			t.Errorf("to an address that has answered: %d", n)
		}
		if n := sent(b, "bob", other, 100, 1000, began); n != 8 {
			t.Errorf("to another port of the host: %d", n)
		}
		if b.Free(netip.MustParseAddrPort(bob), began.Add(answerHolds)) {
			t.Error("an answer holds for ever")
		}
	})
}

// The tables stay small whatever peers invent, and are empty when all limits are unused again.
func TestBudgetForgets(t *testing.T) {
	b := NewBudget(Limits{})
	now := began
	for i := range 300_000 {
		now = now.Add(time.Millisecond)
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}), 1)
		remote := fmt.Sprint("eve", i)
		b.Allow(remote, at, 1, now)
		b.Answered(netip.AddrPortFrom(at.Addr(), 2), now)
		b.Proven(remote, now)
		most := 2 * Usual().All.Datagrams
		if len(b.hosts) > most || len(b.remotes) > most || b.answered.len() > maxAnswered || b.proven.len() > maxAnswered {
			t.Fatalf("after %d: %d hosts, %d peers, %d answers, %d proven", i, len(b.hosts), len(b.remotes), b.answered.len(), b.proven.len())
		}
	}
	now = now.Add(2 * time.Minute)
	b.Allow("bob", netip.MustParseAddrPort("192.0.2.7:1"), 1, now)
	if len(b.hosts) != 1 || len(b.remotes) != 1 {
		t.Errorf("later there are %d hosts and %d peers", len(b.hosts), len(b.remotes))
	}
}

// An address that the policy refuses in one spelling is taken in no other, and no more are taken than allowed.
func FuzzCandidates(f *testing.F) {
	for _, seed := range []string{"192.0.2.7:1", "[::ffff:127.0.0.1]:9", "[fe80::1%eth0]:1", "[64:ff9b::a00:1]:1", "[2002:7f00:1::]:1", "10.0.0.1:0", "x"} {
		f.Add(seed, true, false)
		f.Add(seed, false, true)
	}
	f.Fuzz(func(t *testing.T, text string, loopback, private bool) {
		at, err := netip.ParseAddrPort(text)
		if err != nil {
			at = netip.AddrPort{}
		}
		c := Candidates{Policy: Policy{Loopback: loopback, Private: private}, Max: 1}
		fresh, err := c.Add(at)
		if fresh == (err != nil) || fresh != c.Has(at) {
			t.Fatalf("%s: %v, %v", text, fresh, err)
		}
		if !fresh {
			return
		}
		ip := at.Addr().Unmap()
		switch {
		case at.Port() == 0, !ip.IsValid(), ip.Zone() != "", ip.IsUnspecified(), ip.IsMulticast(), ip.IsLinkLocalUnicast(),
			ip.IsLoopback() && !loopback, ip.IsPrivate() && !private:
			t.Fatalf("%s was taken", text)
		}
		written := netip.AddrPortFrom(netip.AddrFrom16(ip.As16()), at.Port())
		if again, err := c.Add(written); again || err != nil {
			t.Fatalf("%s again as %s: %v, %v", text, written, again, err)
		}
	})
}

func BenchmarkAllow(b *testing.B) {
	b.ReportAllocs()
	budget, at, now := NewBudget(Limits{}), netip.MustParseAddrPort("192.0.2.7:1"), began
	for b.Loop() {
		budget.Allow("bob", at, 100, now)
	}
}
