package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/sdk/p2p"
)

// forwarder carries datagrams between the Handler at to and another sender, until it is cut.
func forwarder(t *testing.T, to netip.AddrPort, cut *atomic.Bool) netip.AddrPort {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var other netip.AddrPort
		b := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
			target := to
			if from == to {
				target = other
			} else {
				other = from
			}
			if !cut.Load() && target.IsValid() {
				_, _ = conn.WriteToUDPAddrPort(b[:n], target)
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// A path that loses everything while the channel is idle takes longest to notice: the silence counts from the keep-alive that
// is not answered.
func TestDeadWayIsNoticedByBothSides(t *testing.T) {
	t.Parallel()
	noticesDeadWay(t, hasty())
}

func TestLongDeadWayIsNoticedByBothSides(t *testing.T) {
	longtest.Skip(t)
	t.Parallel()
	noticesDeadWay(t, usualLiveness())
}

func noticesDeadWay(t *testing.T, alive liveness) {
	a, b := startWith(t, `{"listen":"127.0.0.1:0"}`, alive), startWith(t, `{"listen":"127.0.0.1:0"}`, alive)
	var cut atomic.Bool
	at := forwarder(t, b.local, &cut)
	wa, wb := newWires()
	wb.change = altered(func(d *descriptionForm) { d.Candidates = []candidateForm{{Type: typeHost, Address: at.String()}} })
	wa.change = altered(func(d *descriptionForm) { d.Candidates = nil }) // no punch past the forwarder
	x, y := both(within(t, patience), a, b, wa, wb)
	if x.err != nil || y.err != nil {
		t.Fatal(x.err, y.err)
	}
	if err := exchange(within(t, patience), x.channel, y.channel, "before"); err != nil {
		t.Fatal(err)
	}
	// Idle through one keep-alive.
	if _, err := x.channel.Recv(within(t, alive.keepAlive+500*time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	cut.Store(true)
	began := time.Now()
	took := make(chan time.Duration, 2)
	for _, c := range []p2p.Channel{x.channel, y.channel} {
		go func() {
			_, err := c.Recv(within(t, 2*patience))
			var idle *quic.IdleTimeoutError
			if !errors.As(err, &idle) {
				t.Errorf("%v, want an error that says that the peer is silent", err)
			}
			took <- time.Since(began)
		}()
	}
	for range 2 {
		if d := <-took; d > alive.keepAlive+alive.silence+7*time.Second {
			t.Errorf("noticed after %v", d)
		} else {
			t.Logf("noticed after %v", d.Round(100*time.Millisecond))
		}
	}
}
