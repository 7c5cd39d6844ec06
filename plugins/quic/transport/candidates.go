package transport

import (
	"net"
	"net/netip"
	"slices"
)

// usable says whether a datagram to at can reach one single host.
func usable(at netip.AddrPort) bool { return at.Port() != 0 && usableIP(at.Addr()) }

func usableIP(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsValid() && ip.Zone() == "" && !ip.IsUnspecified() && !ip.IsMulticast() &&
		!ip.IsLinkLocalUnicast() && ip != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// network is what this machine's interfaces say at the moment of a set-up.
type network struct {
	hosts      []candidate         // ours, in the order in which a peer should try them
	broadcasts map[netip.Addr]bool // never to be dialed: Go's sockets would broadcast
}

// survey reads the interfaces. Addresses of the kind that the socket cannot serve are left out. An error of the
// operating system leaves only what the operator advertises.
func (t *Transport) survey() network {
	found := network{broadcasts: make(map[netip.Addr]bool)}
	var hosts, loopbacks []netip.AddrPort
	for _, a := range t.set.advertise {
		if a.Port() == 0 {
			a = netip.AddrPortFrom(a.Addr(), t.local.Port())
		}
		hosts = append(hosts, a)
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		t.log.Warn("cannot list the network interfaces: peers are told only what \"advertise\" names", "error", err)
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		addresses, _ := i.Addrs() // an interface that has just gone has none
		for _, a := range addresses {
			prefix, ok := prefixOf(a)
			if !ok {
				continue
			}
			if b, ok := broadcastOf(prefix); ok {
				found.broadcasts[b] = true
			}
			ip := prefix.Addr()
			switch {
			case !t.set.tells(i.Name) || !usableIP(ip) || !t.serves(ip):
			case ip.IsLoopback() && t.set.loopback:
				loopbacks = append(loopbacks, netip.AddrPortFrom(ip, t.local.Port()))
			case !ip.IsLoopback():
				hosts = append(hosts, netip.AddrPortFrom(ip, t.local.Port()))
			}
		}
	}
	for _, at := range append(hosts, loopbacks...) {
		c := candidate{kind: typeHost, address: at}
		if len(found.hosts) < maxCandidates && !slices.Contains(found.hosts, c) {
			found.hosts = append(found.hosts, c)
		}
	}
	return found
}

// serves says whether the socket can receive at ip and send from it.
func (t *Transport) serves(ip netip.Addr) bool {
	at := t.local.Addr()
	switch {
	case at.IsUnspecified() && at.Is6():
		return true
	case at.IsUnspecified():
		return ip.Is4()
	default:
		return ip == at
	}
}

// speaks says whether the socket is of ip's kind.
func (t *Transport) speaks(ip netip.Addr) bool {
	at := t.local.Addr()
	return at.Is4() == ip.Is4() || at.Is6() && at.IsUnspecified()
}

// reaches says whether a datagram may be sent to a peer's candidate.
func (t *Transport) reaches(at netip.AddrPort, here network) bool {
	ip := at.Addr()
	return usable(at) && t.speaks(ip) && !here.broadcasts[ip] && (t.set.loopback || !ip.IsLoopback())
}

func prefixOf(a net.Addr) (netip.Prefix, bool) {
	n, ok := a.(*net.IPNet)
	if !ok {
		return netip.Prefix{}, false
	}
	ip, ok := netip.AddrFromSlice(n.IP)
	if !ok {
		return netip.Prefix{}, false
	}
	ones, bits := n.Mask.Size()
	ip = ip.Unmap()
	if ip.Is4() && bits == 128 {
		ones -= 96
	}
	p := netip.PrefixFrom(ip, ones)
	return p, p.IsValid()
}

// broadcastOf is the directed broadcast address of an IPv4 network.
func broadcastOf(p netip.Prefix) (netip.Addr, bool) {
	if !p.Addr().Is4() || p.Bits() > 30 {
		return netip.Addr{}, false
	}
	b := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b), true
}
