package web

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/limits"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
)

// ended waits until the node ends a connection, and says after which time. It must have said nothing.
func ended(t *testing.T, c net.Conn) time.Duration {
	t.Helper()
	began := time.Now()
	if n, err := io.Copy(io.Discard, c); n > 0 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	return time.Since(began)
}

// A connection is counted from when it is made until it is closed, once, whether it is attached or not.
func TestConnectionsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p := counted(limits.Limits{}, quota.Sources{}, false)
		var conns []*netConn
		for range 3 {
			p.dial(here)
			conns = append(conns, accept(t, l))
		}
		held(t, l, 3, 0)
		if !l.Enter(conns[0].ticket, false, func() { t.Error("it is kicked") }) {
			t.Error("it is not attached")
		}
		held(t, l, 2, 1)
		for i, want := range [][2]int{{2, 0}, {1, 0}, {0, 0}} {
			conns[i].Close()
			conns[i].Close()
			held(t, l, want[0], want[1])
		}
		p.Close()
		if _, err := l.Accept(); err == nil {
			t.Error("the listener's end is no error")
		}
	})
}

// Those of an address that has too many are handed on to be told why, at most so many at once and for two seconds; others are
// closed at once, and hold nobody else up. None of them has a place.
func TestTooManyOfOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p := counted(limits.Limits{PerAddress: 2}, quota.Sources{}, false)
		for range 2 {
			p.dial(here)
			accept(t, l)
		}
		var told []*netConn
		first := p.dial(here)
		for range maxRefusing - 1 {
			p.dial(here)
		}
		for range maxRefusing {
			k := accept(t, l)
			if k.verdict != quota.Crowded {
				t.Fatalf("verdict %d", k.verdict)
			}
			told = append(told, k)
		}
		one, two := p.dial(here), p.dial(here)
		p.dial(there)
		if k := accept(t, l); k.verdict != quota.Welcome || k.ticket.From == told[0].ticket.From {
			t.Errorf("verdict %d for %v", k.verdict, k.ticket.From)
		}
		held(t, l, 3, 0)
		if a, b := ended(t, one), ended(t, two); a > 0 || b > 0 {
			t.Errorf("those that are not told end after %v and %v", a, b)
		}
		told[1].Close() // told in time
		told[1].Close()
		p.dial(here)
		again := accept(t, l)
		if again.verdict != quota.Crowded {
			t.Errorf("verdict %d", again.verdict)
		}
		p.dial(here)
		p.dial(there)
		if k := accept(t, l); k.verdict != quota.Welcome {
			t.Error("one that was told has given two places back")
		}
		if d := ended(t, first); d != refusalTime {
			t.Errorf("one that is told ends after %v", d)
		}
	})
}

// An address that makes connections too fast is told so, but not where each would cost a TLS handshake. One that stands for many is
// not bounded.
func TestHaste(t *testing.T) {
	for name, tls := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				exempt := quota.Sources{Exempt: []netip.Prefix{netip.MustParsePrefix(there + "/32")}}
				l, p := counted(limits.Limits{Handshakes: 1}, exempt, tls) // two connections a second, and twenty at once
				for range 20 {
					p.dial(here)
					if k := accept(t, l); k.verdict != quota.Welcome {
						t.Fatalf("verdict %d", k.verdict)
					}
				}
				hasty := p.dial(here)
				if tls {
					p.dial(there)
				}
				k := accept(t, l)
				if tls && (k.verdict != quota.Welcome || ended(t, hasty) > 0) || !tls && k.verdict != quota.Hasty {
					t.Errorf("verdict %d", k.verdict)
				}
				for range 100 {
					p.dial(there)
					if k := accept(t, l); k.verdict != quota.Welcome {
						t.Fatalf("one that is not counted: verdict %d", k.verdict)
					}
				}
				time.Sleep(500 * time.Millisecond)
				p.dial(here)
				if k := accept(t, l); k.verdict != quota.Welcome {
					t.Errorf("half a second later: verdict %d", k.verdict)
				}
			})
		})
	}
}

// Where as many wait as may, one that has waited for two seconds is closed for a newcomer; before that the newcomer is told.
func TestSilentConnectionsMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p := counted(limits.Limits{Unproven: 1}, quota.Sources{}, false)
		silent := p.dial(here)
		waits := accept(t, l)
		p.dial(there)
		if k := accept(t, l); k.verdict != quota.Overfull {
			t.Errorf("verdict %d", k.verdict)
		}
		time.Sleep(2 * time.Second)
		p.dial(there)
		if k := accept(t, l); k.verdict != quota.Welcome || ended(t, silent) > 0 {
			t.Errorf("two seconds later: verdict %d", k.verdict)
		}
		waits.Close() // as its server does
		held(t, l, 1, 0)
	})
}

// Where as many are attached as may, the address that has the most makes room; where none has more than the newcomer's, the
// newcomer has no place, unless it replaces another one.
func TestAttachedConnectionsMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p := counted(limits.Limits{Connections: 2}, quota.Sources{}, false)
		kicked := make(chan int, 10)
		enter := func(n int, from string, replaces bool) bool {
			p.dial(from)
			return l.Enter(accept(t, l).ticket, replaces, func() {
				l.Held() // the lock is free
				kicked <- n
			})
		}
		for n, from := range []string{here, here, there} {
			if !enter(n, from, false) {
				t.Fatalf("connection %d is not attached", n)
			}
		}
		if n := <-kicked; n != 1 || len(kicked) > 0 {
			t.Errorf("connection %d was kicked, and %d more", n, len(kicked))
		}
		held(t, l, 0, 2)
		if enter(3, there, false) || len(kicked) > 0 {
			t.Error("one more is attached")
		}
		held(t, l, 1, 2)
		if !enter(4, there, true) || len(kicked) > 0 {
			t.Error("one that replaces another one is not attached")
		}
	})
}
