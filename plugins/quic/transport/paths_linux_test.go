package transport

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
)

// overtaker carries datagrams between one peer and the Handler at to. Each datagram of the peer arrives from another address
// first, as an attacker on the path could do with forged addresses.
type overtaker struct {
	at               netip.AddrPort
	sent, got        atomic.Int64 // bytes from and to the other addresses
	datagrams        atomic.Int64 // to them
	work             sync.WaitGroup
	front, back      *net.UDPConn
	strangers        []*net.UDPConn
	peer             atomic.Pointer[netip.AddrPort]
	overtakesAnswers atomic.Bool
}

func newOvertaker(t *testing.T, to netip.AddrPort, strangers int) *overtaker {
	o := &overtaker{front: loopback(t), back: loopback(t)}
	o.at = o.front.LocalAddr().(*net.UDPAddr).AddrPort()
	for range strangers {
		s := loopback(t)
		o.strangers = append(o.strangers, s)
		o.work.Go(func() {
			each(s, func(b []byte, _ netip.AddrPort) {
				o.datagrams.Add(1)
				o.got.Add(int64(len(b)))
			})
		})
	}
	o.work.Go(func() {
		n := 0
		each(o.front, func(b []byte, from netip.AddrPort) {
			o.peer.Store(&from)
			if o.overtakesAnswers.Load() {
				n++
				s := o.strangers[n%len(o.strangers)]
				_, _ = s.WriteToUDPAddrPort(b, to)
				o.sent.Add(int64(len(b)))
			}
			_, _ = o.back.WriteToUDPAddrPort(b, to)
		})
	})
	o.work.Go(func() {
		each(o.back, func(b []byte, _ netip.AddrPort) {
			if p := o.peer.Load(); p != nil {
				_, _ = o.front.WriteToUDPAddrPort(b, *p)
			}
		})
	})
	t.Cleanup(func() {
		for _, s := range append(o.strangers, o.front, o.back) {
			_ = s.Close()
		}
		o.work.Wait()
	})
	return o
}

func each(s *net.UDPConn, do func(b []byte, from netip.AddrPort)) {
	b := make([]byte, 2048)
	for {
		n, from, err := s.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		do(b[:n], from)
	}
}

// Packets of a connection that come from other addresses do not move or break the connection, and little is sent to those
// addresses.
func TestForeignPathsMoveNothing(t *testing.T) {
	a, b := start(t, `{"listen":"127.0.0.1:0"}`), start(t, `{"listen":"127.0.0.1:0"}`)
	o := newOvertaker(t, b.local, 20)
	wa, wb := newWires()
	wb.change = altered(func(d *descriptionForm) { d.Candidates = []candidateForm{{Type: typeHost, Address: o.at.String()}} })
	wa.change = altered(func(d *descriptionForm) { d.Candidates = nil })
	x, y := both(within(t, patience), a, b, wa, wb)
	if x.err != nil || y.err != nil {
		t.Fatal(x.err, y.err)
	}
	ctx := within(t, patience)
	home := y.channel.(*channel).conn.RemoteAddr().String()
	o.overtakesAnswers.Store(true)
	for i := range 2000 {
		if err := exchange(ctx, x.channel, y.channel, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
		if now := y.channel.(*channel).conn.RemoteAddr().String(); now != home {
			t.Fatalf("the connection has moved to %s after %d messages", now, i)
		}
	}
	t.Logf("%d bytes came from other addresses, %d bytes in %d datagrams went there", o.sent.Load(), o.got.Load(), o.datagrams.Load())
	if o.sent.Load() == 0 {
		t.Error("nothing came from other addresses: the test shows nothing")
	}
	if o.got.Load() > 3*o.sent.Load() || o.datagrams.Load() > 100 {
		t.Error("that is an amplification")
	}
}
