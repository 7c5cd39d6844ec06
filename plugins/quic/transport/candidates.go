package transport

import (
	"net"
	"net/netip"
	"slices"

	"github.com/protofly/protofly/sdk/udp/reach"
)

// usable tells whether at is the address of a single host and a port, in any network.
func usable(at netip.AddrPort) bool { return at.Port() != 0 && usableIP(at.Addr()) }

func usableIP(ip netip.Addr) bool {
	return reach.Policy{Loopback: true, Private: true}.CheckAddr(ip) == nil
}

// network has the addresses of this machine's interfaces at the time of a set-up.
type network struct {
	hosts  []candidate  // this machine's, in the order in which a peer should try them
	policy reach.Policy // which of a peer's addresses may be sent to; it excludes broadcast addresses, to which Go's sockets can send
}

// survey reads the interfaces. It leaves out addresses of a kind (IPv4, IPv6) that the socket does not have. If the operating system
// returns an error, only the addresses that the operator advertises are left.
func (t *Transport) survey() network {
	found := network{policy: reach.Policy{Loopback: t.set.loopback, Private: t.set.private}}
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
		addresses, _ := i.Addrs() // an interface that was removed in the meantime has none
		for _, a := range addresses {
			prefix, ok := prefixOf(a)
			if !ok {
				continue
			}
			if b, ok := reach.BroadcastOf(prefix); ok {
				found.policy.Broadcasts = append(found.policy.Broadcasts, b)
			}
			ip := prefix.Addr()
			switch {
			case !t.set.tells(i.Name) || !usableIP(ip) || !t.serves(ip):
			case reach.Policy{Loopback: t.set.loopback, Private: t.set.private}.CheckAddr(ip) != nil:
			case ip.IsLoopback():
				loopbacks = append(loopbacks, netip.AddrPortFrom(ip, t.local.Port()))
			default:
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

// serves tells whether the socket can receive at ip and send from it.
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

// speaks tells whether the socket can send to addresses of ip's kind (IPv4 or IPv6).
func (t *Transport) speaks(ip netip.Addr) bool {
	at := t.local.Addr()
	return at.Is4() == ip.Is4() || at.Is6() && at.IsUnspecified()
}

// aims are the addresses that one set-up sends to.
type aims struct {
	t     *Transport
	peer  string
	named reach.Candidates // addresses that the peer has named
	// awaited says that the peer is expected to come from one of them.
	awaited bool
	leaves  []func()
}

func newAims(t *Transport, peer string, here network) *aims {
	return &aims{t: t, peer: peer, named: reach.Candidates{Policy: here.policy, Max: maxCandidates}}
}

// add adds an address of the peer, and tells whether it is new and may be sent to.
func (a *aims) add(at netip.AddrPort) bool {
	if !a.t.speaks(at.Addr().Unmap()) {
		return false
	}
	fresh, err := a.named.Add(at)
	if err != nil {
		a.t.log.Debug("an address of the peer is not used", "peer", a.peer, "error", err)
	}
	if fresh {
		a.leaves = append(a.leaves, a.t.gate.aim(a.peer, at))
	}
	if fresh && a.awaited {
		a.t.mu.Lock()
		defer a.t.mu.Unlock()
		forget := a.t.admission.await(at.Addr())
		a.leaves = append(a.leaves, func() {
			a.t.mu.Lock()
			defer a.t.mu.Unlock()
			forget()
		})
	}
	return fresh
}

// leave notes that the set-up sends no more.
func (a *aims) leave() {
	for _, leave := range a.leaves {
		leave()
	}
	a.leaves = nil
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
