package networks_test

import (
	"net/netip"
	"testing"

	"code.dny.dev/ssrf"

	"github.com/protofly/protofly/internal/networks"
)

// The table has every range of a maintained table, which is made from the registries.
func TestTableIsWhole(t *testing.T) {
	for _, p := range append(append([]netip.Prefix{}, ssrf.IPv4DeniedPrefixes...), ssrf.IPv6DeniedPrefixes...) {
		for _, ip := range []netip.Addr{p.Addr(), last(p)} {
			if k := networks.KindOf(ip); k == networks.KindInternet || k == networks.KindInvalid {
				t.Errorf("%s of %s is of kind %d", ip, p, k)
			}
			if parse(t, "public").Check(ip) == nil {
				t.Errorf("%s of %s is public", ip, p)
			}
		}
	}
	guard := ssrf.New(ssrf.WithAnyPort())
	for first := range 256 { // and no other range: addresses that are public there are public here
		for second := range 256 {
			for _, ip := range []netip.Addr{netip.AddrFrom4([4]byte{byte(first), byte(second), 7, 7}), netip.AddrFrom16([16]byte{byte(first), byte(second), 15: 7})} {
				if got, want := networks.KindOf(ip) == networks.KindInternet, guard.SafeAddr(ip) == nil; got != want {
					t.Errorf("%s is of the Internet: %v, want %v", ip, got, want)
				}
			}
		}
	}
}

// last is the last address of a network.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	ip, _ := netip.AddrFromSlice(b)
	return ip
}

func TestKinds(t *testing.T) {
	for text, want := range map[string]networks.Kind{
		"8.8.8.8": networks.KindInternet, "2606:4700::1": networks.KindInternet, "0.0.0.0": networks.KindUnspecified, "::": networks.KindUnspecified,
		"0.1.2.3": networks.KindReserved, "::7f00:1": networks.KindReserved, "127.1.2.3": networks.KindLoopback, "::1": networks.KindLoopback,
		"::ffff:127.0.0.1": networks.KindLoopback, "169.254.169.254": networks.KindLinkLocal, "fe80::1%eth0": networks.KindLinkLocal,
		"224.0.0.1": networks.KindMulticast, "ff0e::1": networks.KindMulticast, "255.255.255.255": networks.KindBroadcast, "250.1.1.1": networks.KindReserved,
		"10.1.1.1": networks.KindPrivate, "100.64.0.1": networks.KindPrivate, "fd00::1": networks.KindPrivate, "fec0::1": networks.KindPrivate, "64:ff9b:1::1": networks.KindPrivate,
		"64:ff9b::808:808": networks.KindGateway, "2002:808:808::": networks.KindGateway, "2001:0:808:808::": networks.KindGateway,
		"192.0.2.1": networks.KindSpecial, "2001:db8::1": networks.KindSpecial, "5f00::1": networks.KindSpecial,
	} {
		if got := networks.KindOf(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s is of kind %d, want %d", text, got, want)
		}
	}
	if networks.KindOf(netip.Addr{}) != networks.KindInvalid {
		t.Error("no address has a kind")
	}
}
