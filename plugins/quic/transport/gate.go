package transport

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/sdk/udp/reach"
)

// errBudget is why a dial failed whose packets the gate has dropped.
var errBudget = errors.New("no answer, and no more is sent for now to an address that has not answered")

const (
	// creditEach is how many bytes may be sent to an address for each byte that came from it (RFC 9000, section 8.1).
	creditEach = 3
	// creditMax bounds the unused credit.
	creditMax = 64 << 10
	// payersAsked is the largest number of peers whose budgets are tried for one packet.
	payersAsked = 8
	// datagramSize is the approximate size of each packet of a burst.
	datagramSize = 1200
)

// gate is between quic-go and the socket. It limits, by a [reach.Budget], what set-ups send to addresses that their peers have
// named and that have not answered, with retransmissions. It passes packets to other addresses, and packets of
// connections whose handshake is done, at no cost.
type gate struct {
	aimed atomic.Int32 // len(targets)

	mu      sync.Mutex // guards what follows
	budget  *reach.Budget
	targets map[netip.AddrPort]*target
}

// target is an address that set-ups send to.
type target struct {
	peers   map[string]int // number of set-ups, by peer
	credit  int            // bytes that may be sent for bytes that came from there
	starved bool           // a packet was dropped
}

func newGate() *gate {
	return &gate{budget: reach.NewBudget(reach.Limits{}), targets: make(map[netip.AddrPort]*target)}
}

// aim notes that a set-up with the peer sends to the address, until leave is called.
func (g *gate) aim(peer string, at netip.AddrPort) (leave func()) {
	at = unmapped(at)
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.targets[at]
	if a == nil {
		a = &target{peers: make(map[string]int)}
		g.targets[at] = a
		g.aimed.Add(1)
	}
	a.peers[peer]++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if a.peers[peer]--; a.peers[peer] == 0 {
			delete(a.peers, peer)
		}
		if len(a.peers) == 0 {
			delete(g.targets, at)
			g.aimed.Add(-1)
		}
	}
}

// lets tells whether the packet may be sent now.
func (g *gate) lets(packet []byte, to netip.AddrPort) bool {
	if g.aimed.Load() == 0 || len(packet) == 0 || established(packet[0]) {
		return true
	}
	to = unmapped(to)
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.targets[to]
	if a == nil {
		return true
	}
	if a.credit >= len(packet) {
		a.credit -= len(packet)
		return true
	}
	cost := reach.Amount{Datagrams: (len(packet) + datagramSize - 1) / datagramSize, Bytes: len(packet)}
	if len(packet) < 2*datagramSize {
		cost.Datagrams = 1
	}
	now, asked := time.Now(), 0
	for peer := range a.peers {
		if g.budget.AllowMany(peer, to, cost, now) {
			return true
		}
		if asked++; asked == payersAsked {
			break
		}
	}
	a.starved = true
	return false
}

// heard notes that n bytes have come from an address. The address may be forged, but three times as much may be sent there.
func (g *gate) heard(n int, from netip.AddrPort) {
	if g.aimed.Load() == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if a := g.targets[unmapped(from)]; a != nil {
		a.credit = min(a.credit+creditEach*n, creditMax)
	}
}

// answered notes that a handshake with the peer has succeeded at the address.
func (g *gate) answered(peer string, at netip.AddrPort) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.budget.Answered(at, now)
	g.budget.Proven(peer, now)
}

// starved tells whether a packet to the address was dropped since the first set-up that sends there.
func (g *gate) starved(at netip.AddrPort) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.targets[unmapped(at)]
	return a != nil && a.starved
}

// established tells whether a packet with this first byte has QUIC's short header, which is sent only after the handshake.
func established(first byte) bool { return first&0xc0 == 0x40 }

func unmapped(at netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}
