package reach

import (
	"net/netip"
	"time"
)

// Amount is a number of datagrams, and of the bytes in them.
type Amount struct{ Datagrams, Bytes int }

// Limits are what may be sent to addresses that have not answered. All of a limit may be used at once; what
// was used comes back evenly within Refill. A member that is 0 is that of [Usual].
type Limits struct {
	Host   Amount // to one host (an IPv4 address, a /64 of IPv6), whoever named it; one peer may take half of it
	Remote Amount // because of one peer
	All    Amount // by this process; the second half is kept for peers that are [Budget.Proven]
	Refill time.Duration
}

// Usual gives the limits that hold where nothing else is said. They let a set-up try some twenty addresses, and a host that
// never answers gets no more than 48 KiB at once, and as much in each minute.
func Usual() Limits {
	return Limits{
		Host:   Amount{Datagrams: 48, Bytes: 48 << 10},
		Remote: Amount{Datagrams: 96, Bytes: 64 << 10},
		All:    Amount{Datagrams: 2048, Bytes: 1 << 20},
		Refill: time.Minute,
	}
}

// For how long it is remembered that an address has answered, and of how many addresses.
const (
	answerHolds = 10 * time.Minute
	maxAnswered = 4096
)

// Budget counts what is sent to addresses that have not answered. What was spent on an address that then answers is given
// back. It remembers no more than what its limits let it send: an address or a peer whose limit is unused again is forgotten. It is not for several
// goroutines at once. [NewBudget] makes it.
type Budget struct {
	limits   Limits
	all      account
	hosts    map[netip.Addr]*host
	remotes  map[string]*account
	swept    time.Time
	answered memory[netip.AddrPort]
	proven   memory[string]
}

// host is what was sent to one host, and because of which peers.
type host struct {
	account
	shares map[string]*share
}

// share is what was sent to a host because of one peer.
type share struct {
	account
	ports map[netip.AddrPort]Amount // of it, not reduced by time
}

// NewBudget makes a Budget with the limits.
func NewBudget(limits Limits) *Budget {
	usual := Usual()
	fill := func(a *Amount, usual Amount) {
		a.Datagrams, a.Bytes = orElse(a.Datagrams, usual.Datagrams), orElse(a.Bytes, usual.Bytes)
	}
	fill(&limits.Host, usual.Host)
	fill(&limits.Remote, usual.Remote)
	fill(&limits.All, usual.All)
	if limits.Refill <= 0 {
		limits.Refill = usual.Refill
	}
	return &Budget{limits: limits, hosts: make(map[netip.Addr]*host), remotes: make(map[string]*account)}
}

// Allow says whether a datagram of size bytes may be sent to at now because of the peer called remote, and counts it if
// so. Addresses that have answered in the last ten minutes cost nothing.
func (b *Budget) Allow(remote string, at netip.AddrPort, size int, now time.Time) bool {
	return b.AllowMany(remote, at, Amount{Datagrams: 1, Bytes: size}, now)
}

// AllowMany is Allow of several datagrams: of all of them, or of none.
func (b *Budget) AllowMany(remote string, at netip.AddrPort, cost Amount, now time.Time) bool {
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	if b.Free(at, now) {
		return true
	}
	b.sweep(now)
	all := b.limits.All
	if !b.proven.has(remote, now) {
		all = half(all)
	}
	h, known := b.hosts[hostOf(at)]
	if !known {
		h = &host{shares: make(map[string]*share)}
	}
	s := h.shares[remote]
	if s == nil {
		s = &share{ports: make(map[netip.AddrPort]Amount)}
	}
	r := b.remotes[remote]
	if r == nil {
		r = &account{}
	}
	b.settle(h, s, r, now)
	if !b.all.room(cost, all) || !h.room(cost, b.limits.Host) || !s.room(cost, half(b.limits.Host)) || !r.room(cost, b.limits.Remote) {
		return false
	}
	for _, a := range []*account{&b.all, &h.account, &s.account, r} {
		a.take(cost)
	}
	before := s.ports[at]
	s.ports[at] = Amount{Datagrams: before.Datagrams + cost.Datagrams, Bytes: before.Bytes + cost.Bytes}
	b.hosts[hostOf(at)], h.shares[remote], b.remotes[remote] = h, s, r
	return true
}

// settle brings the accounts up to now.
func (b *Budget) settle(h *host, s *share, r *account, now time.Time) {
	refill := b.limits.Refill
	b.all.settle(b.limits.All, refill, now)
	h.settle(b.limits.Host, refill, now)
	s.settle(half(b.limits.Host), refill, now)
	r.settle(b.limits.Remote, refill, now)
}

// Answered says that a packet has come from at now that shows that what was sent there has been received. What was spent
// on the address is given back.
func (b *Budget) Answered(at netip.AddrPort, now time.Time) {
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	b.answered.add(at, now)
	h := b.hosts[hostOf(at)]
	if h == nil {
		return
	}
	for remote, s := range h.shares {
		spent := s.ports[at]
		delete(s.ports, at)
		s.giveBack(spent)
		h.giveBack(spent)
		b.all.giveBack(spent)
		if r := b.remotes[remote]; r != nil {
			r.giveBack(spent)
		}
	}
}

// Free says whether the address has answered lately, so that sending there costs nothing.
func (b *Budget) Free(at netip.AddrPort, now time.Time) bool {
	return b.answered.has(netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), now)
}

// Proven notes that a set-up with the peer has succeeded now, at whatever address: the peer is not invented.
func (b *Budget) Proven(remote string, now time.Time) { b.proven.add(remote, now) }

// sweep forgets from time to time the accounts whose limits are unused again. What is left was sent in the last Refill, or is what the limits had
// at once: so the tables have at most two entries for each datagram of Limits.All.
func (b *Budget) sweep(now time.Time) {
	if now.Sub(b.swept) < b.limits.Refill/4 {
		return
	}
	b.swept = now
	for ip, h := range b.hosts {
		for remote, s := range h.shares {
			if s.settle(half(b.limits.Host), b.limits.Refill, now); s.whole() {
				delete(h.shares, remote)
			}
		}
		if h.settle(b.limits.Host, b.limits.Refill, now); h.whole() && len(h.shares) == 0 {
			delete(b.hosts, ip)
		}
	}
	for remote, r := range b.remotes {
		if r.settle(b.limits.Remote, b.limits.Refill, now); r.whole() {
			delete(b.remotes, remote)
		}
	}
}

func hostOf(at netip.AddrPort) netip.Addr { return Host(at.Addr()) }

func half(a Amount) Amount {
	return Amount{Datagrams: (a.Datagrams + 1) / 2, Bytes: (a.Bytes + 1) / 2}
}
