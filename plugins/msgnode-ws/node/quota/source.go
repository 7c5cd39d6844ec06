package quota

import (
	"net/http"
	"net/netip"
	"strings"
)

// Source is what connections and state are counted by where no key is known: an IPv4 address, or the /64 network of an IPv6
// address, which one subscriber has for itself. The zero value stands for many users, and is not counted.
type Source struct{ netip.Prefix }

// Sources knows which addresses stand for one stranger each.
type Sources struct {
	Proxies []netip.Prefix // their X-Forwarded-For counts, and not their own address
	Exempt  []netip.Prefix // not counted by address
	Off     bool           // no address is counted: a proxy stands before the node, and which one is not known
}

// LoopbackNetworks are exempt unless the operator says otherwise: all programs of a machine share them.
func LoopbackNetworks() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

func within(a netip.Addr, list []netip.Prefix) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Of is the source that an address is counted by.
func (s *Sources) Of(a netip.Addr) Source {
	a = a.Unmap().WithZone("")
	if s.Off || !a.IsValid() || within(a, s.Exempt) || within(a, s.Proxies) {
		return Source{}
	}
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // fails only for wrong bits
	return Source{p}
}

// Remote is the source of an address and port.
func (s *Sources) Remote(hostport string) (Source, netip.Addr) {
	a, err := netip.ParseAddrPort(hostport)
	if err != nil {
		return Source{}, netip.Addr{}
	}
	addr := a.Addr().Unmap().WithZone("")
	return s.Of(addr), addr
}

// maxForwarded bounds how many addresses of a request's X-Forwarded-For are looked at, from its end.
const maxForwarded = 16

// Client is the source of a request: of its connection, or, where that is a proxy's, of the last address in
// X-Forwarded-For that is not a proxy's. What stands before that one was written by strangers.
func (s *Sources) Client(r *http.Request) Source {
	from, addr := s.Remote(r.RemoteAddr)
	if !within(addr, s.Proxies) {
		return from
	}
	list := r.Header.Values("X-Forwarded-For")
	rest := strings.Join(list, ",")
	for range maxForwarded {
		if rest == "" {
			break
		}
		var last string
		if i := strings.LastIndexByte(rest, ','); i >= 0 {
			rest, last = rest[:i], rest[i+1:]
		} else {
			rest, last = "", rest
		}
		a, err := netip.ParseAddr(strings.Trim(strings.TrimSpace(last), "[]"))
		if err != nil {
			break
		}
		if a = a.Unmap().WithZone(""); !within(a, s.Proxies) {
			return s.Of(a)
		}
	}
	return from
}
