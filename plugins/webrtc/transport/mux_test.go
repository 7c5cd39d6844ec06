package transport

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/stun"
)

// muxFor is a mux with a socket at a loopback address.
func muxFor(t *testing.T, at string, options Options) *mux {
	t.Helper()
	s, err := options.check()
	if err != nil {
		t.Fatal(err)
	}
	address, err := net.ResolveUDPAddr("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenUDP("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	_ = socket.SetReadBuffer(socketBuffer)
	m, err := newMux(socket, &s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func udpAddress(ip string, m *mux) *net.UDPAddr {
	return &net.UDPAddr{IP: net.ParseIP(ip), Port: m.raw.LocalAddr().(*net.UDPAddr).Port}
}

func part(t *testing.T, m *mux, ufrag, ip string) net.PacketConn {
	t.Helper()
	c, err := peersMux{m, string(bob), nil}.GetConn(ufrag, udpAddress(ip, m))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// outside is a socket of a peer.
func outside(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func send(t *testing.T, from *net.UDPConn, to *net.UDPAddr, b []byte) {
	t.Helper()
	if _, err := from.WriteToUDP(b, to); err != nil {
		t.Fatal(err)
	}
}

// request is a binding request to the connection with the name ufrag.
func request(t *testing.T, ufrag string) []byte {
	t.Helper()
	m, err := stun.Build(stun.BindingRequest, stun.TransactionID, stun.NewUsername(ufrag+":theirs"))
	if err != nil {
		t.Fatal(err)
	}
	return m.Raw
}

func record(text string) []byte { return append([]byte{23}, text...) }

func expect(t *testing.T, c net.PacketConn, want []byte, from *net.UDPConn) {
	t.Helper()
	late := time.AfterFunc(patience, func() { _ = c.Close() })
	defer late.Stop()
	b := make([]byte, largestPacket)
	n, at, err := c.ReadFrom(b)
	if err != nil || string(b[:n]) != string(want) || at.String() != from.LocalAddr().String() {
		t.Fatalf("%q of %v, %v instead of %q of %v", b[:n], at, err, want, from.LocalAddr())
	}
}

// One reader of a connection gets all packets, whatever address of this machine they come to, and whichever candidate has sent
// there; the others get none.
func TestOneReader(t *testing.T) {
	m := muxFor(t, ":0", Options{})
	first, second := part(t, m, "mine", "127.0.0.1"), part(t, m, "mine", "127.0.0.2")
	if _, _, err := second.ReadFrom(make([]byte, 1500)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the second address is read: %v", err)
	}
	peer := outside(t)
	for i, to := range []string{"127.0.0.2", "127.0.0.1", "127.0.0.3"} {
		hello := request(t, "mine")
		send(t, peer, udpAddress(to, m), hello)
		expect(t, first, hello, peer)
		if i == 0 { // the next packets are found by the address
			if _, err := second.WriteTo([]byte("answer"), peer.LocalAddr()); err != nil {
				t.Fatal(err)
			}
		}
		send(t, peer, udpAddress(to, m), record(to))
		expect(t, first, record(to), peer)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	send(t, peer, udpAddress("127.0.0.1", m), record("still"))
	expect(t, first, record("still"), peer)
}

// Connections get their own packets, and packets of no connection are dropped. An address that has not answered belongs to the
// connection that sent to it first.
func TestPacketsOfTwo(t *testing.T) {
	m := muxFor(t, "127.0.0.1:0", Options{})
	here := udpAddress("127.0.0.1", m)
	one, two := part(t, m, "one", "127.0.0.1"), part(t, m, "two", "127.0.0.1")
	p, q := outside(t), outside(t)
	send(t, p, here, record("of nobody"))
	send(t, p, here, request(t, "three"))
	for i, c := range []net.PacketConn{one, two} {
		hello := request(t, []string{"one", "two"}[i])
		send(t, []*net.UDPConn{p, q}[i], here, hello)
		expect(t, c, hello, []*net.UDPConn{p, q}[i])
	}
	if _, err := one.WriteTo([]byte("x"), p.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	send(t, p, here, record("to one"))
	expect(t, one, record("to one"), p)
	if _, err := two.WriteTo([]byte("x"), p.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if err := one.Close(); err != nil { // the address keeps its other connection
		t.Fatal(err)
	}
	send(t, p, here, record("to two"))
	expect(t, two, record("to two"), p)
	m.RemoveConnByUfrag("two")
	for _, c := range []net.PacketConn{one, two} {
		if _, _, err := c.ReadFrom(make([]byte, 1500)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read after Close: %v", err)
		}
		if _, err := c.WriteTo([]byte("x"), q.LocalAddr()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("write to a new address after Close: %v", err)
		}
	}
	if len(m.routes)+len(m.byName)+len(m.asked) != 0 {
		t.Errorf("%d routes and %d names are left", len(m.routes), len(m.byName))
	}
}

// Packets that nobody reads are bounded, and so are the addresses of one connection.
func TestMuxBounds(t *testing.T) {
	m := muxFor(t, "127.0.0.1:0", Options{})
	c := part(t, m, "mine", "127.0.0.1").(*muxConn)
	big := record(string(make([]byte, largestPacket-1)))
	for range 2 * maxWaiting / len(big) {
		c.put(big, len(big), nil)
	}
	if c.waiting > maxWaiting {
		t.Errorf("%d bytes wait", c.waiting)
	}
	for i := range 4 * maxAddresses {
		if _, err := c.WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv4(127, 1, byte(i>>8), byte(i)), Port: 9}); err != nil {
			t.Fatal(i, err)
		}
	}
	if len(c.addresses) > maxAddresses || len(m.routes) > maxAddresses {
		t.Errorf("%d addresses and %d routes are kept", len(c.addresses), len(m.routes))
	}
}

// Only the addresses that the operator allows are offered.
func TestOfferedAddresses(t *testing.T) {
	no := false
	for _, c := range []struct {
		options  Options
		loopback bool
	}{{Options{}, true}, {Options{Loopback: &no}, false}, {Options{Interfaces: []string{"none*"}}, false}} {
		m := muxFor(t, ":0", c.options)
		found := fmt.Sprint(m.GetListenAddresses())
		want := fmt.Sprintf("127.0.0.1:%d", udpAddress("::", m).Port)
		if got := contains(m.GetListenAddresses(), want); got != c.loopback {
			t.Errorf("%+v: %s", c.options, found)
		}
	}
	for ip, want := range map[string]bool{"192.0.2.1": true, "fd00::2": true, "fe80::1": false, "::1": false, "0.0.0.0": false, "ff02::1": false} {
		if got := offered(net.ParseIP(ip), true); got != want {
			t.Errorf("%s: offered %v", ip, got)
		}
	}
}

func contains(all []net.Addr, want string) bool {
	for _, a := range all {
		if a.String() == want {
			return true
		}
	}
	return false
}

// TestReaderGivesOthersTheirTurn: a connection for which many packets wait does not keep the processor until all are read.
func TestReaderGivesOthersTheirTurn(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	c := &muxConn{arrived: make(chan struct{}, 1)}
	const count = 20 * maxTurn
	for range count {
		c.add([]byte{22}, &net.UDPAddr{})
	}
	var others atomic.Int64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				others.Add(1)
				runtime.Gosched()
			}
		}
	}()
	for range count {
		if _, _, err := c.ReadFrom(make([]byte, smallPacket)); err != nil {
			t.Fatal(err)
		}
	}
	after := others.Load()
	close(stop)
	<-done
	if after < count/maxTurn/2 {
		t.Errorf("another goroutine had %d turns while %d packets were read", after, count)
	}
}
