package reach

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Policy says which addresses a peer may name. The zero value takes only public addresses.
type Policy struct {
	Loopback bool // take 127.0.0.0/8 and ::1
	// Private takes the ranges of private networks: 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10 (shared
	// by a provider's customers), fc00::/7, fec0::/10, and 64:ff9b:1::/48 (a network's own translation to IPv4).
	Private bool
	// Broadcasts are the directed broadcast addresses of this machine's networks: see [BroadcastOf]. They are refused.
	Broadcasts []netip.Addr
}

// Why an address is refused. errors.Is finds them in what [Policy.Check] returns.
var (
	ErrInvalid     = errors.New("not an address")
	ErrPort        = errors.New("port 0")
	ErrZone        = errors.New("an address with a zone means something on one machine only")
	ErrUnspecified = errors.New("an unspecified address")
	ErrLoopback    = errors.New("a loopback address")
	ErrLinkLocal   = errors.New("a link-local address")
	ErrMulticast   = errors.New("a multicast address")
	ErrBroadcast   = errors.New("a broadcast address")
	ErrPrivate     = errors.New("an address of a private network")
	ErrReserved    = errors.New("an address of a reserved range")
)

// Refusal says which address is refused and why.
type Refusal struct {
	Address netip.AddrPort
	Reason  error // one of the errors of this package
	// Inner is the IPv4 address that the refused IPv6 address leads to, where that is why.
	Inner netip.Addr
}

func (r *Refusal) Error() string {
	if r.Inner.IsValid() {
		return fmt.Sprintf("%s is refused: it leads to %s, %v", r.Address, r.Inner, r.Reason)
	}
	return fmt.Sprintf("%s is refused: %v", r.Address, r.Reason)
}

// Unwrap gives the reason.
func (r *Refusal) Unwrap() error { return r.Reason }

// Check says whether a peer may name at. The error is a *[Refusal]. An IPv4 address that is written as one of IPv6 counts
// as what it is, and an IPv6 address that leads to an IPv4 one through a gateway (6to4, Teredo, NAT64, ISATAP) is refused
// where that one is.
func (p Policy) Check(at netip.AddrPort) error {
	if !at.Addr().IsValid() {
		return &Refusal{Address: at, Reason: ErrInvalid}
	}
	if at.Port() == 0 {
		return &Refusal{Address: at, Reason: ErrPort}
	}
	return p.check(at)
}

// CheckAddr is Check without a port.
func (p Policy) CheckAddr(ip netip.Addr) error { return p.check(netip.AddrPortFrom(ip, 0)) }

func (p Policy) check(at netip.AddrPort) error {
	ip := at.Addr().Unmap()
	if reason := p.refuse(ip); reason != nil {
		return &Refusal{Address: at, Reason: reason}
	}
	for _, inner := range embedded(ip) {
		if reason := p.refuse(inner); reason != nil {
			return &Refusal{Address: at, Reason: reason, Inner: inner}
		}
	}
	return nil
}

func (p Policy) refuse(ip netip.Addr) error {
	switch {
	case !ip.IsValid():
		return ErrInvalid
	case ip.Zone() != "":
		return ErrZone
	case ip.IsUnspecified():
		return ErrUnspecified
	case ip == everybody, slices.Contains(p.Broadcasts, ip): // first: the loopback network has one too
		return ErrBroadcast
	case ip.IsLoopback():
		if p.Loopback {
			return nil
		}
		return ErrLoopback
	case ip.IsMulticast():
		return ErrMulticast
	case ip.IsLinkLocalUnicast():
		return ErrLinkLocal
	case within(ip, reserved):
		return ErrReserved
	case !p.Private && (ip.IsPrivate() || within(ip, private)):
		return ErrPrivate
	}
	return nil
}

var (
	everybody = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	// private are the ranges of [Policy.Private] that netip does not know as private.
	private = prefixes("100.64.0.0/10", "fec0::/10", "64:ff9b:1::/48")
	// reserved are ranges in which nobody can be reached: "this network", what may become class E, and IPv6 addresses
	// that may be used on no wire (IPv4-compatible ones, those of a host's own translation, and the discard prefix).
	reserved = prefixes("0.0.0.0/8", "240.0.0.0/4", "::/96", "::ffff:0:0:0/96", "100::/64")
)

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

func within(ip netip.Addr, list []netip.Prefix) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// The gateways from IPv6 to IPv4 whose addresses contain the IPv4 address.
var (
	sixToFour = netip.MustParsePrefix("2002::/16")
	teredo    = netip.MustParsePrefix("2001::/32")
	nat64     = netip.MustParsePrefix("64:ff9b::/96")
	nat64own  = netip.MustParsePrefix("64:ff9b:1::/48")
)

// embedded gives the IPv4 addresses that packets to ip may be brought to.
func embedded(ip netip.Addr) []netip.Addr {
	if !ip.Is6() {
		return nil
	}
	b := ip.As16()
	four := func(at int) netip.Addr { return netip.AddrFrom4([4]byte(b[at : at+4])) }
	switch {
	case sixToFour.Contains(ip):
		return []netip.Addr{four(2)}
	case teredo.Contains(ip): // the server, and the client with all its bits turned round
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

// BroadcastOf gives the directed broadcast address of an IPv4 network; ok is false where it has none.
func BroadcastOf(network netip.Prefix) (broadcast netip.Addr, ok bool) {
	if !network.IsValid() || !network.Addr().Is4() || network.Bits() > 30 {
		return netip.Addr{}, false
	}
	b := network.Addr().As4()
	for i := network.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b), true
}

// Host is what counts as one host: an IPv4 address, however it is written, or a /64 of IPv6, all of which whoever has one of
// its addresses usually has.
func Host(ip netip.Addr) netip.Addr { return part(ip, 64) }

// Site is what counts as one customer of a network: an IPv4 address, or a /48 of IPv6.
func Site(ip netip.Addr) netip.Addr { return part(ip, 48) }

func part(ip netip.Addr, bits int) netip.Addr {
	if ip = ip.Unmap().WithZone(""); !ip.Is6() {
		return ip
	}
	prefix, _ := ip.Prefix(bits) // an IPv6 address has so many
	return prefix.Addr()
}
