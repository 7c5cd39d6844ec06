package node

import (
	"net/http"
	"net/netip"
	"strings"
)

// source is whom connections and state are counted by where no key tells: an IPv4 address, or the /64 network of an IPv6
// address, which one subscriber has for itself. The zero value is nobody in particular: what is known to stand for many.
type source struct{ netip.Prefix }

// sources knows which addresses stand for one stranger each.
type sources struct {
	proxies []netip.Prefix // their X-Forwarded-For counts, they do not
	exempt  []netip.Prefix // not counted by address
	off     bool           // no address is counted: a proxy stands before the node, and which one is not known
}

// loopbackNetworks are exempt unless the operator says otherwise: all programs of a machine share them.
func loopbackNetworks() []netip.Prefix {
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

// of is the source that an address is counted by.
func (s *sources) of(a netip.Addr) source {
	a = a.Unmap().WithZone("")
	if s.off || !a.IsValid() || within(a, s.exempt) || within(a, s.proxies) {
		return source{}
	}
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // fails only for wrong bits
	return source{p}
}

// remote is the source of an address and port.
func (s *sources) remote(hostport string) (source, netip.Addr) {
	a, err := netip.ParseAddrPort(hostport)
	if err != nil {
		return source{}, netip.Addr{}
	}
	addr := a.Addr().Unmap().WithZone("")
	return s.of(addr), addr
}

// maxForwarded bounds how many addresses of a request's X-Forwarded-For are looked at, from its end.
const maxForwarded = 16

// client is the source of a request: of its connection, or, where that is a proxy's, of the last address in
// X-Forwarded-For that is not a proxy's. What stands before that one was written by strangers.
func (s *sources) client(r *http.Request) source {
	from, addr := s.remote(r.RemoteAddr)
	if !within(addr, s.proxies) {
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
		if a = a.Unmap().WithZone(""); !within(a, s.proxies) {
			return s.of(a)
		}
	}
	return from
}
