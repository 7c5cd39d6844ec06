package transport

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pion/stun"
)

// gate limits what the library's own sockets send because of one peer. Packets to the operator's STUN and TURN servers do not
// count.
type gate struct {
	mux   *mux
	peer  string
	meter *meter

	mu    sync.Mutex
	asked []asking
}

// asking is a request to a peer's address.
type asking struct {
	id transaction
	at netip.AddrPort
}

func addrPortOf(a net.Addr) (netip.AddrPort, bool) {
	udp, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}, false
	}
	return routeKey(udp), true
}

// leaves tells whether a packet may be sent.
func (g *gate) leaves(b []byte, to net.Addr) bool {
	at, ok := addrPortOf(to)
	if !aboutWays(b) {
		g.meter.sent(len(b))
	}
	if !ok || !toPeer(b) {
		return true
	}
	now := time.Now()
	g.mux.mu.Lock()
	allowed := g.mux.budget.Allow(g.peer, at, len(b), now)
	g.mux.mu.Unlock()
	if allowed && isSTUN(b) && len(b) >= stunHeader {
		if class, _ := classOf(b); class == stun.ClassRequest {
			g.mu.Lock()
			if len(g.asked) >= maxAsked {
				g.asked = slices.Delete(g.asked, 0, 1)
			}
			g.asked = append(g.asked, asking{transaction(b[8:stunHeader]), at})
			g.mu.Unlock()
		}
	}
	return allowed
}

// takes tells whether a packet is passed to the library, and notes it. A packet that a TURN server relays counts as the packet
// that it is in.
func (g *gate) takes(b []byte, from net.Addr) bool {
	if !wellFormed(b, true) || !g.meter.passes(b) {
		return false
	}
	if !aboutWays(b) {
		g.meter.came(1, len(b))
	}
	g.heard(b, from)
	return true
}

// aboutWays tells whether a packet is a connectivity check or the answer to one, and so has no data.
func aboutWays(b []byte) bool {
	asks, answers := kindOf(b)
	return asks || answers
}

// heard notes an answer.
func (g *gate) heard(b []byte, from net.Addr) {
	at, ok := addrPortOf(from)
	if !ok || !isSTUN(b) || len(b) < stunHeader {
		return
	}
	if class, binding := classOf(b); !binding || class != stun.ClassSuccessResponse {
		return
	}
	answer := asking{transaction(b[8:stunHeader]), at}
	g.mu.Lock()
	i := slices.Index(g.asked, answer)
	if i >= 0 {
		g.asked = slices.Delete(g.asked, i, i+1)
	}
	g.mu.Unlock()
	if i >= 0 {
		g.mux.mu.Lock()
		g.mux.budget.Answered(at, time.Now())
		g.mux.mu.Unlock()
	}
}

// toPeer tells whether a packet is one to a peer that is counted. Binding requests to a STUN server have no name in them, and what goes
// to a TURN server is of other methods, or data of a channel.
func toPeer(b []byte) bool {
	if !isSTUN(b) || len(b) < stunHeader {
		return len(b) > 0 && b[0] >= 20 && b[0] <= 63
	}
	class, binding := classOf(b)
	if !binding {
		return false
	}
	if class != stun.ClassRequest {
		return false // an answer: see kindOf
	}
	message := stun.Message{Raw: b}
	return message.Decode() == nil && message.Contains(stun.AttrUsername)
}
