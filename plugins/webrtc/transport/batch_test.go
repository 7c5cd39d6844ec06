package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"
)

// numbered is a packet of the size, at least 5, that looks like DTLS and has a number.
func numbered(n uint32, size int) []byte {
	b := bytes.Repeat([]byte{byte(n)}, size)
	b[0] = 23
	binary.BigEndian.PutUint32(b[1:], n)
	return b
}

// still is an outbox without the goroutine that sends, and its socket's address.
func still(t *testing.T) (*outbox, *muxConn) {
	t.Helper()
	o := newOutbox(outside(t))
	if o == nil {
		t.Skip("this system sends packets one by one")
	}
	return o, &muxConn{}
}

func address(t *testing.T, c *net.UDPConn) netip.AddrPort {
	t.Helper()
	a := c.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// roomy is an outside with buffers for all that a test sends at once.
func roomy(t *testing.T) *net.UDPConn {
	t.Helper()
	c := outside(t)
	_ = c.SetReadBuffer(socketBuffer)
	return c
}

// Packets are gathered by address and size, and keep their order.
func TestGather(t *testing.T) {
	o, c := still(t)
	one, two := netip.MustParseAddrPort("127.0.0.1:1"), netip.MustParseAddrPort("127.0.0.1:2")
	for _, p := range []struct {
		to   netip.AddrPort
		size int
	}{
		{one, 100}, {two, 50}, {one, 100}, {two, 50}, // of two addresses by turns
		{one, 60}, {one, 60}, {one, 100}, // a smaller packet ends a run, and so does a larger one
		{two, 70},
	} {
		if err := o.put(make([]byte, p.size), p.to, c); err != nil {
			t.Fatal(err)
		}
	}
	want := []run{{to: one, size: 100, count: 3}, {to: two, size: 50, count: 2}, {to: one, size: 60, count: 1}, {to: one, size: 100, count: 1}, {to: two, size: 70, count: 1}}
	if len(o.runs) != len(want) {
		t.Fatalf("%d runs", len(o.runs))
	}
	for i, r := range o.runs {
		if r.to != want[i].to || r.size != want[i].size || r.count != want[i].count {
			t.Errorf("run %d: %d of %d bytes to %v", i, r.count, r.size, r.to)
		}
	}
	o.runs = nil
	for range 3 * maxPackets {
		_ = o.put(make([]byte, 20), one, c)
		_ = o.put(make([]byte, 1200), two, c)
	}
	for _, r := range o.runs {
		if r.count > maxPackets || len(r.b) > maxRun {
			t.Errorf("a run of %d packets, %d bytes", r.count, len(r.b))
		}
	}
}

// Packets that were sent at once arrive as they were: of all sizes, in order, without malformed ones, whether the receiver's
// system returns several at once or not.
func TestPacketsAtOnce(t *testing.T) {
	o, own := still(t)
	m := muxFor(t, "127.0.0.1:0", Options{})
	c := part(t, m, "mine", "127.0.0.1")
	if _, err := c.WriteTo([]byte("x"), o.socket.LocalAddr()); err != nil { // from then on c gets packets from there
		t.Fatal(err)
	}
	plain := roomy(t)
	to, toPlain := udpAddress("127.0.0.1", m).AddrPort(), address(t, plain)
	var sizes []int
	for _, size := range []int{1200, 5, 1200, 700, 28, 1228, 8, largestPacket} {
		for range 10 {
			sizes = append(sizes, size)
		}
		sizes = append(sizes, size/2+5)
	}
	for i, size := range sizes {
		b := numbered(uint32(i), size)
		for _, at := range []netip.AddrPort{to, toPlain} {
			if err := o.put(b, at, own); err != nil {
				t.Fatal(err)
			}
		}
		if i%7 == 0 {
			if err := o.put(make([]byte, size), to, own); err != nil { // not well-formed
				t.Fatal(err)
			}
		}
	}
	if len(o.runs) >= len(sizes) {
		t.Errorf("%d runs for %d packets", len(o.runs), 2*len(sizes))
	}
	o.close()
	o.work()
	if own.single.Load() {
		t.Error("the system did not take several packets at once")
	}
	got := make([]byte, largestPacket+1)
	_ = plain.SetReadDeadline(time.Now().Add(patience))
	for i, size := range sizes {
		for _, from := range []net.PacketConn{c, plain} {
			n, at, err := from.ReadFrom(got)
			if err != nil || !bytes.Equal(got[:n], numbered(uint32(i), size)) {
				t.Fatalf("packet %d has %d instead of %d bytes, or others; %v", i, n, size, err)
			}
			if at.String() != o.socket.LocalAddr().String() {
				t.Fatalf("from %v", at)
			}
		}
	}
}

// Packets that the system does not accept at once are sent one by one, and so are the next ones to that peer.
func TestOneByOne(t *testing.T) {
	o, c := still(t)
	to := roomy(t)
	const many = 200 // more than any system accepts
	r := &run{to: address(t, to), of: c, size: 6, count: many}
	for i := range many {
		r.b = append(r.b, numbered(uint32(i), 6)...)
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		o.send(r)
	}()
	got := make([]byte, 100)
	_ = to.SetReadDeadline(time.Now().Add(patience))
	for i := range many {
		if n, err := to.Read(got); err != nil || !bytes.Equal(got[:n], numbered(uint32(i), 6)) {
			t.Fatalf("packet %d: %d bytes, %v", i, n, err)
		}
	}
	<-sent
	if !c.single.Load() {
		t.Error("it is tried again")
	}
}

// A sender that is faster than the socket waits; close frees it, and the packets that it has put are sent.
func TestOutboxBound(t *testing.T) {
	o, c := still(t)
	to := roomy(t)
	at := address(t, to)
	ended := make(chan int)
	go func() {
		n := 0
		for o.put(numbered(uint32(n), 1200), at, c) == nil {
			n++
		}
		ended <- n
	}()
	for {
		o.mu.Lock()
		full := o.bytes > maxUnsent
		o.mu.Unlock()
		if full {
			break
		}
		runtime.Gosched()
	}
	o.close()
	n := <-ended
	if o.bytes > maxUnsent+1200 || n > o.bytes/1200 {
		t.Errorf("%d bytes wait of %d packets", o.bytes, n)
	}
	if err := o.put([]byte("x"), at, c); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(o.work)
	got := make([]byte, 2000)
	_ = to.SetReadDeadline(time.Now().Add(patience))
	for i := range n {
		if k, err := to.Read(got); err != nil || !bytes.Equal(got[:k], numbered(uint32(i), 1200)) {
			t.Fatalf("packet %d of %d: %d bytes, %v", i, n, k, err)
		}
	}
}

// Packets that come at once from a peer that is not known yet are handled one by one.
func TestFirstPacketsAtOnce(t *testing.T) {
	m := muxFor(t, "127.0.0.1:0", Options{})
	c := part(t, m, "mine", "127.0.0.1").(*muxConn)
	hello := request(t, "mine")
	b := append(append(bytes.Clone(hello), request(t, "his!")...), hello...)
	b = append(b, record("early")...)
	m.deliver(b, len(hello), netip.MustParseAddrPort("127.0.0.1:9"))
	m.deliver(numbered(1, largestPacket+1), largestPacket+1, netip.MustParseAddrPort("127.0.0.1:9"))
	got := make([]byte, 2000)
	for range 2 {
		if n, _, err := c.ReadFrom(got); err != nil || !bytes.Equal(got[:n], hello) {
			t.Fatalf("%q, %v", got[:n], err)
		}
	}
	if c.waiting != 0 {
		t.Errorf("%d bytes more", c.waiting)
	}
}
