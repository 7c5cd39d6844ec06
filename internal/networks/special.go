package networks

import "net/netip"

// Kind is the purpose of an address, as the registries of special-purpose addresses say. The one table of them is in this file.
//
// Two rules decide by it, and differ on purpose. [Allowed] says where this process may connect because somebody else has
// named a host: [Public] is [KindInternet] alone, and an IPv6 address counts as the IPv4 address that it contains only
// behind the well-known prefix of NAT64, which networks without IPv4 need. The policy of package sdk/udp/reach says where
// datagrams may go because a peer has named an address: it takes [KindSpecial] as well, since the ranges for documentation
// and benchmarks lead to nobody in the Internet and are used in laboratories, and [KindGateway] if it takes every address
// that [Embedded] finds in it.
type Kind uint8

// The kinds of addresses.
const (
	KindInvalid     Kind = iota // no address
	KindInternet                // public
	KindUnspecified             // 0.0.0.0, ::
	KindLoopback                // 127.0.0.0/8, ::1
	KindLinkLocal               // 169.254.0.0/16, fe80::/10: this link, a cloud's metadata service
	KindMulticast
	KindBroadcast // 255.255.255.255
	KindReserved  // nobody can be reached there: "this network", class E, IPv6 addresses that may be on no wire
	KindPrivate   // RFC 1918, fc00::/7, fec0::/10, shared by a provider's customers, a network's own NAT64
	KindGateway   // 6to4, Teredo, NAT64: leads to the IPv4 address in it
	KindSpecial   // anything else that is not the Internet: documentation, benchmarks, protocol assignments, IPv6 outside 2000::/3
)

// special is the table. The first row that contains an address counts, so a part of a range comes before the range.
var special = []struct {
	prefix netip.Prefix
	kind   Kind
}{
	{netip.MustParsePrefix("0.0.0.0/32"), KindUnspecified},
	{netip.MustParsePrefix("0.0.0.0/8"), KindReserved}, // "this network"
	{netip.MustParsePrefix("10.0.0.0/8"), KindPrivate},
	{netip.MustParsePrefix("100.64.0.0/10"), KindPrivate}, // shared by a provider's customers
	{netip.MustParsePrefix("127.0.0.0/8"), KindLoopback},
	{netip.MustParsePrefix("169.254.0.0/16"), KindLinkLocal},
	{netip.MustParsePrefix("172.16.0.0/12"), KindPrivate},
	{netip.MustParsePrefix("192.0.0.0/24"), KindSpecial},    // protocol assignments
	{netip.MustParsePrefix("192.0.2.0/24"), KindSpecial},    // documentation
	{netip.MustParsePrefix("192.31.196.0/24"), KindSpecial}, // AS112
	{netip.MustParsePrefix("192.52.193.0/24"), KindSpecial}, // AMT
	{netip.MustParsePrefix("192.88.99.0/24"), KindSpecial},  // relays of 6to4
	{netip.MustParsePrefix("192.168.0.0/16"), KindPrivate},
	{netip.MustParsePrefix("192.175.48.0/24"), KindSpecial}, // AS112
	{netip.MustParsePrefix("198.18.0.0/15"), KindSpecial},   // benchmarks
	{netip.MustParsePrefix("198.51.100.0/24"), KindSpecial}, // documentation
	{netip.MustParsePrefix("203.0.113.0/24"), KindSpecial},  // documentation
	{netip.MustParsePrefix("224.0.0.0/4"), KindMulticast},
	{netip.MustParsePrefix("255.255.255.255/32"), KindBroadcast},
	{netip.MustParsePrefix("240.0.0.0/4"), KindReserved},

	{netip.MustParsePrefix("::/128"), KindUnspecified},
	{netip.MustParsePrefix("::1/128"), KindLoopback},
	{netip.MustParsePrefix("::/96"), KindReserved},           // IPv4-compatible
	{netip.MustParsePrefix("::ffff:0:0:0/96"), KindReserved}, // a host's own translation
	{nat64, KindGateway},
	{nat64own, KindPrivate},
	{netip.MustParsePrefix("100::/64"), KindReserved}, // discard
	{teredo, KindGateway},
	{netip.MustParsePrefix("2001::/23"), KindSpecial},     // protocol assignments
	{netip.MustParsePrefix("2001:db8::/32"), KindSpecial}, // documentation
	{sixToFour, KindGateway},
	{netip.MustParsePrefix("2620:4f:8000::/48"), KindSpecial}, // AS112
	{netip.MustParsePrefix("3fff::/20"), KindSpecial},         // documentation
	{netip.MustParsePrefix("2000::/3"), KindInternet},
	{netip.MustParsePrefix("fc00::/7"), KindPrivate},
	{netip.MustParsePrefix("fe80::/10"), KindLinkLocal},
	{netip.MustParsePrefix("fec0::/10"), KindPrivate}, // site-local, of old
	{netip.MustParsePrefix("ff00::/8"), KindMulticast},
	{netip.MustParsePrefix("::/0"), KindSpecial},
}

// The gateways from IPv6 to IPv4 whose addresses contain the IPv4 address.
var (
	sixToFour = netip.MustParsePrefix("2002::/16")
	teredo    = netip.MustParsePrefix("2001::/32")
	nat64     = netip.MustParsePrefix("64:ff9b::/96")
	nat64own  = netip.MustParsePrefix("64:ff9b:1::/48")
)

// KindOf returns the kind of an address. An IPv4 address that is written as IPv6 counts as IPv4; a zone is ignored.
func KindOf(ip netip.Addr) Kind {
	if !ip.IsValid() {
		return KindInvalid
	}
	ip = ip.Unmap().WithZone("")
	for _, row := range special {
		if row.prefix.Contains(ip) {
			return row.kind
		}
	}
	return KindInternet
}

// Embedded gives the IPv4 addresses that packets to an IPv6 address may be brought to by a gateway (6to4, Teredo, NAT64,
// ISATAP).
func Embedded(ip netip.Addr) []netip.Addr {
	if !ip.Is6() {
		return nil
	}
	b := ip.As16()
	four := func(at int) netip.Addr { return netip.AddrFrom4([4]byte(b[at : at+4])) }
	switch {
	case sixToFour.Contains(ip):
		return []netip.Addr{four(2)}
	case teredo.Contains(ip): // the server, and the client with all its bits inverted
		client := [4]byte{^b[12], ^b[13], ^b[14], ^b[15]}
		return []netip.Addr{four(4), netip.AddrFrom4(client)}
	case nat64.Contains(ip):
		return []netip.Addr{four(12)}
	case nat64own.Contains(ip): // with a prefix of 48, 56, 64 or 96 bits; byte 8 is left out (RFC 6052)
		return []netip.Addr{
			netip.AddrFrom4([4]byte{b[6], b[7], b[9], b[10]}), netip.AddrFrom4([4]byte{b[7], b[9], b[10], b[11]}),
			four(9), four(12),
		}
	case b[8]&^0x03 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe: // ISATAP
		return []netip.Addr{four(12)}
	}
	return nil
}
