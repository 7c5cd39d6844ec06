package reach

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/protofly/protofly/internal/networks"
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
	// Inner is the IPv4 address to which the refused IPv6 address leads, if it was refused because of that.
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
	for _, inner := range networks.Embedded(ip) {
		if reason := p.refuse(inner); reason != nil {
			return &Refusal{Address: at, Reason: reason, Inner: inner}
		}
	}
	return nil
}

func (p Policy) refuse(ip netip.Addr) error {
	if ip.Zone() != "" {
		return ErrZone
	}
	if slices.Contains(p.Broadcasts, ip) { // first: the loopback network has one too
		return ErrBroadcast
	}
	switch networks.KindOf(ip) {
	case networks.KindInvalid:
		return ErrInvalid
	case networks.KindUnspecified:
		return ErrUnspecified
	case networks.KindLoopback:
		if p.Loopback {
			return nil
		}
		return ErrLoopback
	case networks.KindMulticast:
		return ErrMulticast
	case networks.KindLinkLocal:
		return ErrLinkLocal
	case networks.KindBroadcast:
		return ErrBroadcast
	case networks.KindReserved:
		return ErrReserved
	case networks.KindPrivate:
		if !p.Private {
			return ErrPrivate
		}
	}
	return nil // KindSpecial and KindGateway too: see [networks.Kind]
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

// Host returns what counts as one host: an IPv4 address, however it is written, or a /64 network of IPv6, which usually belongs
// to one customer as a whole.
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
