package transport

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/sdk/udp/reach"
)

// errBudget is why a dial failed whose packets were not sent any more.
var errBudget = errors.New("no answer, and no more is sent for now to an address that has not answered")

const (
	// creditEach is how many bytes may be sent for each that came from an address, whoever it is: QUIC's own rule.
	creditEach = 3
	// creditMax bounds what is saved up of that.
	creditMax = 64 << 10
	// payersAsked is how many peers are asked at most to pay for one packet.
	payersAsked = 8
	// datagramSize is about what each packet of a burst has.
	datagramSize = 1200
)

// gate stands between quic-go and the socket. What set-ups send to addresses that their peers have named, and that have not
// answered, is bounded by a [reach.Budget], retransmissions included. It does not look at what goes elsewhere, nor at
// packets of connections whose handshake is done: those cost nothing.
type gate struct {
	aimed atomic.Int32 // len(targets)

	mu      sync.Mutex // guards what follows
	budget  *reach.Budget
	targets map[netip.AddrPort]*target
}

// target is an address that set-ups send to.
type target struct {
	peers   map[string]int // whose set-ups those are, and how many of each
	credit  int            // bytes that may be sent because some have come from there
	starved bool           // a packet was held back
}

func newGate() *gate {
	return &gate{budget: reach.NewBudget(reach.Limits{}), targets: make(map[netip.AddrPort]*target)}
}

// aim says that a set-up with the peer will send to the address, until leave is called.
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

// lets says whether the packet may be sent now.
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

// heard takes in that n bytes have come from an address. That it is a real one is not known yet, but three times as much
// may be sent there.
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

// answered says that a handshake with the peer has succeeded at the address.
func (g *gate) answered(peer string, at netip.AddrPort) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.budget.Answered(at, now)
	g.budget.Proven(peer, now)
}

// starved says whether something for the address was held back since it is aimed at.
func (g *gate) starved(at netip.AddrPort) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.targets[unmapped(at)]
	return a != nil && a.starved
}

// established says whether a packet that begins with first is QUIC's with the short header, which is sent only with keys
// that a handshake has brought.
func established(first byte) bool { return first&0xc0 == 0x40 }

func unmapped(at netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}
