package transport

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/sdk/p2p"
)

// One host has few of the places, many hosts leave some for the next, and no expected peer is kept out.
func TestAdmission(t *testing.T) {
	a := newAdmission()
	four := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}) }
	fill := func(ip netip.Addr) (places []*place) {
		for {
			p, err := a.admit(ip)
			if err != nil {
				if !errors.Is(err, errCrowded) {
					t.Fatal(err)
				}
				return places
			}
			if places = append(places, p); len(places) > 2*maxStrangers {
				t.Fatal("no bound")
			}
		}
	}
	if n := len(fill(four(1))); n != strangerHost {
		t.Errorf("one host has %d places", n)
	}
	if !a.retry(four(1)) || a.retry(four(2)) || !a.patient(four(1)) {
		t.Error("the crowd of one host is felt by others, or not at all")
	}
	for i := range 40 {
		fill(four(2 + i))
	}
	if n := len(fill(four(500))); n == 0 {
		t.Error("forty hosts left nothing for the next")
	}
	if !a.retry(four(501)) || a.patient(four(501)) {
		t.Error("the crowd is not noticed")
	}
	for i := range 2000 {
		fill(four(1000 + i))
	}
	if a.strangers > maxStrangers {
		t.Errorf("%d strangers", a.strangers)
	}
	bob := netip.MustParseAddr("198.51.100.7")
	forget := a.await(bob)
	if n := len(fill(bob)); n != expectedHost || !a.patient(bob) {
		t.Errorf("an expected peer has %d places", n)
	}
	forget()
	if n := len(fill(bob)); n != 0 {
		t.Errorf("a peer that is not expected any more has %d more", n)
	}
	if a.strangers+a.expected > maxStrangers+maxExpected {
		t.Errorf("%d places are taken", a.waiting())
	}
}

// An IPv6 site counts as a few hosts; a connection that names a set-up takes one of the set-up's places; places that are given
// back are forgotten.
func TestAdmissionOfNetworksAndSetUps(t *testing.T) {
	a, places := newAdmission(), []*place(nil)
	for i := range 1 << 12 {
		b := [16]byte{0x20, 1, 0xd, 0xb8, 0, 1, byte(i >> 8), byte(i)}
		if p, err := a.admit(netip.AddrFrom16(b)); err == nil {
			places = append(places, p)
		}
	}
	if len(places) != networkHosts*strangerHost {
		t.Errorf("a network has %d places", len(places))
	}
	if p, err := a.admit(netip.MustParseAddr("2001:db8:2::1")); err != nil {
		t.Errorf("the next network: %v", err)
	} else {
		places = append(places, p)
	}
	name, let := newToken(), 0
	for _, p := range places {
		if a.known(p, name) == nil {
			let++
		}
	}
	if let != setupPlaces || a.strangers != len(places)-let {
		t.Errorf("a set-up has %d places, %d strangers are left", let, a.strangers)
	}
	for _, p := range places {
		a.leave(p)
		a.leave(p)
		_ = a.known(p, name)
	}
	if n := a.waiting() + len(a.hosts) + len(a.networks) + len(a.guests) + len(a.setups); n != 0 {
		t.Errorf("%+v is left of nobody", a)
	}
}

// initial is a packet that looks like the first of a handshake.
func initial(retry []byte) []byte {
	b := make([]byte, 1200)
	rand.Read(b)
	copy(b, []byte{0xc3, 0, 0, 0, 1, 8})
	b[14] = 8
	at := 23
	var name, fresh []byte
	if len(retry) > 0 { // the server's connection ID, and the token that proves this address
		fromDCID := 6 + int(retry[5])
		name = retry[fromDCID+1 : fromDCID+1+int(retry[fromDCID])]
		fresh = retry[fromDCID+1+len(name) : len(retry)-16]
	}
	if len(name) == 8 {
		copy(b[6:], name)
	}
	b[at] = byte(0x40 | len(fresh)>>8)
	b[at+1] = byte(len(fresh))
	at += 2 + copy(b[at+2:], fresh)
	n := len(b) - at - 2
	b[at], b[at+1] = byte(0x40|n>>8), byte(n)
	return b
}

// besiege opens handshakes with the transport and leaves them open, from count addresses, rate a second from each, until ctx
// ends. It follows QUIC's Retry.
func besiege(ctx context.Context, t *testing.T, to netip.AddrPort, count, rate int, work *sync.WaitGroup) {
	for i := range count {
		conn, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 9, byte(1+i))}, net.UDPAddrFromAddrPort(to))
		if err != nil {
			t.Skipf("this machine has one loopback address only: %v", err)
		}
		work.Go(func() {
			<-ctx.Done()
			_ = conn.Close()
		})
		work.Go(func() {
			b := make([]byte, 2048)
			for ctx.Err() == nil {
				n, err := conn.Read(b)
				if err == nil && n > 30 && b[0]&0xf0 == 0xf0 {
					_, _ = conn.Write(initial(b[:n]))
				}
			}
		})
		work.Go(func() {
			tick := time.NewTicker(max(10*time.Millisecond, time.Second/time.Duration(rate)))
			defer tick.Stop()
			for ctx.Err() == nil {
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
				for range max(rate/100, 1) {
					_, _ = conn.Write(initial(nil))
				}
			}
		})
	}
}

// While strangers open handshakes as fast as they like and leave them open, honest peers get in, from addresses that they
// have signalled and from others; afterwards everything is as before.
func TestHalfOpenHandshakesKeepNobodyOut(t *testing.T) {
	halfOpen(t, 20, 20) // handshakes take long on a busy machine, or under the race detector
}

func TestLongHalfOpenHandshakesKeepNobodyOut(t *testing.T) {
	longtest.Skip(t)
	halfOpen(t, 100, 100)
}

// halfOpen makes set-ups while each of many hosts opens that many handshakes a second, or one host six times as many. This part
// runs alone, since it would disturb other tests; the wait until strangers lose their places does not.
func halfOpen(t *testing.T, setUps, many int) {
	places := map[string]func() (strangers, most int){}
	for _, c := range []struct{ sources, rate int }{{1, 6 * many}, {60, many}} {
		name := fmt.Sprint(c.sources, " sources")
		a, b := start(t, `{"listen":"127.0.0.1:0"}`), start(t, `{"listen":"127.0.0.1:0"}`)
		t.Cleanup(b.register(newToken(), &setup{role: p2p.Handler, peer: hash{7}, won: make(chan arrival, 1)})) // a set-up waits for a peer
		places[name] = func() (strangers, most int) {
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, n := range b.admission.hosts {
				most = max(most, n)
			}
			return b.admission.strangers, most
		}
		t.Run(name, func(t *testing.T) { besieged(t, a, b, c.sources, c.rate, setUps, places[name]) })
	}
	t.Parallel()
	for name, held := range places {
		until(within(t, patience), t, name+": strangers have lost their places", func() bool {
			all, _ := held()
			return all == 0
		})
	}
}

// besieged makes set-ups of a and b while the hosts open handshakes with b; held is how many places strangers have there, and
// how many one host.
func besieged(t *testing.T, a, b *Transport, sources, rate, setUps int, held func() (strangers, most int)) {
	ctx, cancel := context.WithCancel(within(t, patience))
	var siege sync.WaitGroup
	defer siege.Wait()
	defer cancel()
	besiege(ctx, t, b.local, sources, rate, &siege)
	until(ctx, t, "strangers have places: the test shows nothing", func() bool {
		all, _ := held()
		return all >= min(sources*crowdHost, crowdStrangers)
	})
	began, worst := time.Now(), time.Duration(0)
	for i := range setUps {
		wa, wb := newWires()
		if i%2 == 1 { // b does not know the addresses of a
			wa.change = altered(func(d *descriptionForm) { d.Candidates = nil })
		}
		each := time.Now()
		x, y := both(ctx, a, b, wa, wb)
		if x.err != nil || y.err != nil {
			t.Fatalf("set-up %d: %v, %v", i, x.err, y.err)
		}
		worst = max(worst, time.Since(each))
		if err := exchange(ctx, x.channel, y.channel, "x"); err != nil {
			t.Fatal(err)
		}
		_ = x.channel.Close()
		if all, most := held(); most > strangerHost || all > maxStrangers {
			t.Fatalf("strangers have %d places, one host %d of them", all, most)
		}
	}
	all, most := held()
	t.Logf("%d set-ups in %v, the slowest in %v, beside %d strangers, at most %d of one host", setUps, time.Since(began).Round(time.Millisecond), worst.Round(time.Millisecond), all, most)
}

// A connection that names no waiting set-up is refused at its first handshake message.
func TestNamelessStrangerKeepsNoPlace(t *testing.T) {
	a := start(t, `{"listen":"127.0.0.1:0"}`)
	name := newToken()
	defer a.register(name, &setup{role: p2p.Handler, peer: hash{7}, won: make(chan arrival, 1)})()
	for range 200 {
		if conn, err := dialRaw(t, a); err == nil {
			_ = conn.CloseWithError(0, "")
			t.Fatal("a handshake without a name succeeded")
		}
		a.mu.Lock()
		n := a.admission.waiting()
		a.mu.Unlock()
		if n > crowdHost {
			t.Fatalf("%d places are held", n)
		}
	}
}

// until waits until is returns true; no event announces it.
func until(ctx context.Context, t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("it did not come true that %s", what)
		}
	}
}
