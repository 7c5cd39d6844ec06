package transport

import (
	"net/netip"
	"testing"

	"github.com/protofly/protofly/sdk/udp/reach"
)

// When the budget of an address is used up, no packet of a handshake and no punch is sent there, except three times as many
// bytes as have come from there; packets of a connection, and all packets after a successful handshake, are sent.
func TestGate(t *testing.T) {
	g := newGate()
	at, other := netip.MustParseAddrPort("[::ffff:192.0.2.7]:4433"), netip.MustParseAddrPort("198.51.100.1:1")
	long, short, punch := make([]byte, datagramSize), make([]byte, datagramSize), encodePunch(newToken())
	long[0], short[0] = 0xc0, 0x40
	many := func(packet []byte, to netip.AddrPort) (n int) {
		for n < 1000 && g.lets(packet, to) {
			n++
		}
		return n
	}
	if n := many(long, at); n != 1000 {
		t.Errorf("to where nobody aims: %d", n)
	}
	leave := g.aim("eve", at)
	again := g.aim("eve", at)
	if g.starved(at) {
		t.Error("starved at once")
	}
	usual := reach.Usual()
	if n := many(long, at); n == 0 || n > usual.Host.Bytes/2/datagramSize || !g.starved(at) {
		t.Errorf("%d packets of a handshake", n)
	}
	for many(punch, at) > 0 { // they are smaller
	}
	if n := many(short, at); n != 1000 {
		t.Errorf("%d packets of a connection", n)
	}
	if n := many(long, other); n != 1000 {
		t.Errorf("%d packets to another address", n)
	}
	g.heard(datagramSize, other)
	if n := many(long, at); n != 0 {
		t.Errorf("%d packets, because another address was heard", n)
	}
	g.heard(datagramSize, at)
	if n := many(long, at); n != creditEach {
		t.Errorf("%d packets for one that came", n)
	}
	for range 1000 {
		g.heard(1<<16, at)
	}
	if n := many(long, at); n > creditMax/datagramSize {
		t.Errorf("%d packets were saved up", n)
	}
	if leaveBob := g.aim("bob", at); many(long, at) == 0 {
		t.Error("one peer has used up what others may have")
	} else {
		leaveBob()
	}
	g.answered("bob", at)
	if n := many(long, at); n != 1000 {
		t.Errorf("%d packets to an address that has answered", n)
	}
	leave()
	again()
	if len(g.targets) != 0 || g.aimed.Load() != 0 {
		t.Error("something is aimed at for ever")
	}
}
