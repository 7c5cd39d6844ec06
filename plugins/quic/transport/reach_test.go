package transport

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/p2p"
	"github.com/protofly/protofly/sdk/udp/reach"
)

// victims are hosts that take no part in any set-up, and count the datagrams that come.
type victims struct {
	at               []netip.AddrPort
	datagrams, bytes atomic.Int64
}

// newVictims listens at hosts addresses of this machine, on ports ports each.
func newVictims(t *testing.T, hosts, ports int) *victims {
	v := &victims{}
	var work sync.WaitGroup
	t.Cleanup(work.Wait) // after the sockets are closed
	for h := range hosts {
		for range ports {
			conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 7, byte(h+1))})
			if err != nil {
				t.Skipf("this machine has one loopback address only: %v", err)
			}
			v.at = append(v.at, unmapped(conn.LocalAddr().(*net.UDPAddr).AddrPort()))
			t.Cleanup(func() { _ = conn.Close() })
			work.Go(func() {
				b := make([]byte, 2048)
				for {
					n, _, err := conn.ReadFromUDPAddrPort(b)
					if err != nil {
						return
					}
					v.datagrams.Add(1)
					v.bytes.Add(int64(n))
				}
			})
		}
	}
	return v
}

// describe is a description that names the addresses, as often as there is room.
func (v *victims) describe() p2p.Signal {
	d := description{certificate: hash{7}, token: newToken()}
	for i := range maxCandidates {
		d.candidates = append(d.candidates, candidate{kind: typeHost, address: v.at[i%len(v.at)]})
	}
	return p2p.Signal{Kind: p2p.Description, Value: d.encode()}
}

// attack has the transport set up a connection with a peer that names the victims; it lasts for d.
func attack(t *testing.T, a *Transport, role p2p.Role, name int, v *victims, d time.Duration) {
	w, peer := newWires()
	peer.out <- v.describe()
	for i := range maxCandidates { // and once more, after the description
		peer.out <- p2p.Signal{Kind: p2p.Candidate, Value: candidate{kind: typeReflexive, address: v.at[i%len(v.at)]}.encode()}
	}
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	remote := message.URL(fmt.Sprintf("hyperty-runtime://example.com/eve%d", name))
	if c, err := a.Connect(ctx, p2p.Peer{Local: runtimeA, Remote: remote, Role: role}, w); err == nil {
		_ = c.Close()
		t.Error("connected with nobody")
	}
}

// Peers that name other hosts make a runtime send little to these, however often they name them, and however many peers there
// are.
func TestNamedAddressesGetLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("waits 4 s")
	}
	t.Parallel()
	const lasts = 4 * time.Second
	usual := reach.Usual()
	for _, c := range []struct {
		name         string
		hosts, ports int
		peers        int
		most         reach.Amount
	}{
		{"one address, one peer", 1, 1, 1, reach.Amount{Datagrams: usual.Host.Datagrams / 2, Bytes: usual.Host.Bytes / 2}},
		{"one address, 20 peers", 1, 1, 20, usual.Host},
		{"64 ports of one host, 20 peers", 1, 64, 20, usual.Host},
		{"64 hosts, one peer", 64, 1, 1, usual.Remote},
		{"64 hosts, 40 peers", 64, 1, 40, reach.Amount{Datagrams: usual.All.Datagrams / 2, Bytes: usual.All.Bytes / 2}},
	} {
		for _, role := range []p2p.Role{p2p.Requester, p2p.Handler} {
			t.Run(fmt.Sprintf("%s, role %d", c.name, role), func(t *testing.T) {
				t.Parallel()
				v, a := newVictims(t, c.hosts, c.ports), start(t, `{"listen":"127.0.0.1:0"}`)
				began := time.Now()
				var work sync.WaitGroup
				for i := range c.peers {
					work.Go(func() { attack(t, a, role, i, v, lasts) })
				}
				work.Wait()
				grown := 1 + 2*float64(time.Since(began))/float64(usual.Refill) // the part of the budget that has refilled meanwhile
				d, b := v.datagrams.Load(), v.bytes.Load()
				t.Logf("%d datagrams, %d bytes in %v", d, b, time.Since(began).Round(time.Millisecond))
				if float64(d) > grown*float64(c.most.Datagrams) || float64(b) > grown*float64(c.most.Bytes) {
					t.Errorf("at most %d datagrams and %d bytes may come", c.most.Datagrams, c.most.Bytes)
				}
				if d == 0 {
					t.Error("nothing came: the test shows nothing")
				}
			})
		}
	}
}

// If the operator excludes loopback addresses and those of private networks, they are neither told to peers nor sent to,
// however they are written.
func TestNetworksThatPeersMayName(t *testing.T) {
	for _, c := range []struct {
		options string
		refused []string
		taken   []string
	}{
		{`{"listen":"0.0.0.0:0","loopback":false}`, []string{"127.0.0.1:9", "127.1.2.3:9", "[::ffff:127.0.0.1]:9"}, []string{"10.1.2.3:9", "192.0.2.1:9"}},
		{`{"listen":"[::]:0","loopback":false}`, []string{"[::1]:9", "[::127.0.0.1]:9", "[64:ff9b::127.0.0.1]:9", "[2002:7f00:1::1]:9"}, []string{"[fd00::1]:9"}},
		{`{"listen":"[::]:0","private":false}`, []string{"10.1.2.3:9", "172.16.1.1:9", "192.168.1.1:9", "100.64.1.1:9", "[fd00::1]:9", "[::ffff:10.1.2.3]:9", "[64:ff9b::10.1.2.3]:9"}, []string{"127.0.0.1:9", "192.0.2.1:9", "[2001:db8::1]:9"}},
		{`{"listen":"[::]:0"}`, []string{"169.254.169.254:9", "224.0.0.1:9", "[fe80::1]:9", "[ff02::1]:9", "255.255.255.255:9", "0.0.0.0:9", "0.1.2.3:9", "240.1.1.1:9"}, []string{"10.1.2.3:9", "127.0.0.1:9"}},
	} {
		a := start(t, c.options)
		aims := newAims(a, "eve", a.survey())
		for _, at := range c.refused {
			if aims.add(netip.MustParseAddrPort(at)) {
				t.Errorf("%s: %s is taken", c.options, at)
			}
		}
		for _, at := range c.taken {
			if !aims.add(netip.MustParseAddrPort(at)) || aims.add(netip.MustParseAddrPort(at)) {
				t.Errorf("%s: %s is not taken once", c.options, at)
			}
		}
		for _, h := range a.survey().hosts {
			if err := a.survey().policy.Check(h.address); err != nil {
				t.Errorf("%s: a peer is told %v", c.options, err)
			}
		}
		aims.leave()
		if n := a.gate.aimed.Load(); n != 0 || len(a.gate.targets) != 0 {
			t.Errorf("%d addresses are aimed at when nobody does", n)
		}
	}
}

// A third party that names the addresses of two others prevents neither their connection, nor a new one, nor, if it is alone,
// their first one.
func TestNamedAddressesOfOthersStayUsable(t *testing.T) {
	a, b, c := start(t, `{"listen":"127.0.0.1:0"}`), start(t, `{"listen":"127.0.0.1:0"}`), start(t, `{"listen":"127.0.0.1:0"}`)
	x, y := connected(t, a, b)
	others := newVictims(t, 1, 1)
	v := &victims{at: []netip.AddrPort{b.local, c.local, others.at[0], netip.AddrPortFrom(b.local.Addr(), 9)}}
	ctx, cancel := context.WithCancel(within(t, patience))
	var work sync.WaitGroup
	work.Go(func() {
		for ctx.Err() == nil {
			attack(t, a, p2p.Requester, 1, v, 200*time.Millisecond)
		}
	})
	work.Go(func() {
		for ctx.Err() == nil {
			attack(t, a, p2p.Handler, 1, v, 200*time.Millisecond)
		}
	})
	defer work.Wait()
	defer cancel()
	for starved := false; !starved; {
		if err := exchange(ctx, x, y, "still here"); err != nil {
			t.Fatal(err)
		}
		starved = a.gate.starved(netip.AddrPortFrom(b.local.Addr(), 9))
	}
	for range 20 {
		if err := exchange(ctx, x, y, "still here"); err != nil {
			t.Fatal(err)
		}
		connected(t, a, b)
	}
	p, q := connected(t, a, c)
	if err := exchange(ctx, p, q, "at first"); err != nil {
		t.Fatal(err)
	}
}

// No byte of a punch is the peer's choice.
func TestPunchTellsNothingOfThePeers(t *testing.T) {
	name := newToken()
	packet := encodePunch(name)
	if to, ok := parsePunch(packet); !ok || to == name || to != name.punched() || to == newToken().punched() {
		t.Errorf("%x for %x", packet, name)
	}
}

// The cost of a packet of a live connection, while a set-up sends to other addresses.
func BenchmarkGate(b *testing.B) {
	packet, to := make([]byte, 1200), netip.MustParseAddrPort("192.0.2.7:4433")
	packet[0] = 0x40
	for _, aimed := range []int{0, 1} {
		b.Run(fmt.Sprint("aimed ", aimed), func(b *testing.B) {
			b.ReportAllocs()
			g := newGate()
			for range aimed {
				g.aim("eve", netip.MustParseAddrPort("192.0.2.8:4433"))
			}
			for b.Loop() {
				g.heard(1200, to)
				if !g.lets(packet, to) {
					b.Fatal("held back")
				}
			}
		})
	}
}
