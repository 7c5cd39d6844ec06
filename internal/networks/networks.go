package networks

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

// The words for networks in a list; everything else in it is a prefix, as 10.1.0.0/16, or one address.
const (
	// Public is every address of the Internet: none that the registries of special purposes name, such as loopback,
	// private, link-local, shared (CGNAT), multicast and unspecified addresses.
	Public   = "public"
	Private  = "private"  // 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7
	Loopback = "loopback" // 127.0.0.0/8, ::1
)

// maxNames is the longest list that is taken.
const maxNames = 1024

// ErrRefused is the error of an address that is in none of the allowed networks.
var ErrRefused = errors.New("address not allowed")

// Allowed is a set of networks. The zero value allows none. It is safe for any number of goroutines.
type Allowed struct {
	names    []string
	public   bool
	prefixes []netip.Prefix // of IPv4 without the form that is mapped into IPv6
}

var (
	private  = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("fc00::/7")}
	loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
)

// Parse reads a list of networks.
func Parse(names []string) (Allowed, error) {
	if len(names) > maxNames {
		return Allowed{}, fmt.Errorf("%d networks, at most %d are possible", len(names), maxNames)
	}
	a := Allowed{names: slices.Clone(names)}
	for _, name := range names {
		switch name {
		case Public:
			a.public = true
		case Private:
			a.prefixes = append(a.prefixes, private...)
		case Loopback:
			a.prefixes = append(a.prefixes, loopback...)
		default:
			p, err := parsePrefix(name)
			if err != nil {
				return Allowed{}, err
			}
			a.prefixes = append(a.prefixes, p)
		}
	}
	return a, nil
}

func parsePrefix(name string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(name)
	if err != nil {
		var one netip.Addr
		if one, err = netip.ParseAddr(name); err == nil && one.Zone() == "" {
			one = one.Unmap()
			p = netip.PrefixFrom(one, one.BitLen())
		}
	}
	switch {
	case err != nil || !p.IsValid():
		return p, fmt.Errorf("%.60q is no network: want %s, %s, %s, or a prefix as 10.1.0.0/16", name, Public, Private, Loopback)
	case p.Addr().Is4In6():
		return p, fmt.Errorf("%q is an IPv4 network in the form of IPv6: write it as one of IPv4", name)
	case p != p.Masked():
		return p, fmt.Errorf("%q has bits behind the prefix's length: is %s meant?", name, p.Masked())
	}
	return p, nil
}

// Names is the list that it was made of.
func (a Allowed) Names() []string { return slices.Clone(a.names) }

func (a Allowed) String() string {
	if len(a.names) == 0 {
		return "none"
	}
	return strings.Join(a.names, ", ")
}

// Loopback tells whether this machine itself is allowed, by its usual address.
func (a Allowed) Loopback() bool { return a.Check(netip.AddrFrom4([4]byte{127, 0, 0, 1})) == nil }

// Check says whether the address is in one of the networks. The error wraps [ErrRefused].
func (a Allowed) Check(ip netip.Addr) error {
	ip = ip.Unmap().WithZone("")
	for _, p := range a.prefixes {
		if p.Contains(ip) {
			return nil
		}
	}
	inner := ip
	if nat64.Contains(ip) { // what counts is the address that it stands for
		inner = Embedded(ip)[0]
		for _, p := range a.prefixes {
			if p.Contains(inner) {
				return nil
			}
		}
	}
	if !a.public || KindOf(inner) != KindInternet {
		return fmt.Errorf("%w: %s is in none of the networks that may be connected to (%s)", ErrRefused, ip, a)
	}
	return nil
}

// Control is for a net.Dialer: it refuses a connection to an address that is not allowed before the first byte is sent.
func (a Allowed) Control(network, address string, _ syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") && !strings.HasPrefix(network, "udp") {
		return fmt.Errorf("%w: network %.20q", ErrRefused, network)
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return a.Check(at.Addr())
}

// MarshalJSON is the list of names.
func (a Allowed) MarshalJSON() ([]byte, error) { return json.Marshal(append([]string{}, a.names...)) }

// UnmarshalJSON reads a list of names.
func (a *Allowed) UnmarshalJSON(text []byte) error {
	var names []string
	if err := json.Unmarshal(text, &names); err != nil {
		return err
	}
	var err error
	*a, err = Parse(names)
	return err
}
