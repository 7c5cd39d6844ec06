package transport

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/pion/stun"

	"github.com/protofly/protofly/sdk/p2p"
	"github.com/protofly/protofly/sdk/udp/reach"
)

// Whose packets are whose. A request of STUN names the connection that it is for. An answer goes to whose question it has
// the number of, 96 random bits that were sent nowhere else: with it the address is the connection's, and what comes from
// there otherwise (DTLS) is too. As long as nobody has been answered by an address, the first that has sent there has its
// packets; whoever names the address of another's peer gets none of them, and takes none away.

const (
	maxAsked   = 32 // questions to one address that are remembered
	maxClaims  = 8  // connections that have sent to one address and have not been answered
	ownerQuiet = 3 * time.Second
)

// limits are what is sent to addresses that have not answered. A check has about 120 bytes, and a set-up tries each pair of
// addresses seven times; many peers may be behind one address.
func limits() reach.Limits {
	return reach.Limits{
		Host:   reach.Amount{Datagrams: 512, Bytes: 64 << 10},
		Remote: reach.Amount{Datagrams: 96, Bytes: 16 << 10},
	}
}

// route is what is known of an address.
type route struct {
	from   *net.UDPAddr // the address, as the library wants it
	owner  *muxConn     // the connection that was answered by it; may be nil
	heard  time.Time    // when it was, the last time
	claims []*muxConn   // others that have sent there, the first of them first
	asked  []question
}

// question is a request of STUN that was sent and not answered.
type question struct {
	id [stun.TransactionIDSize]byte
	of *muxConn
}

// target is whose the packets are that do not say it.
func (r *route) target() *muxConn {
	if r.owner == nil && len(r.claims) > 0 {
		return r.claims[0]
	}
	return r.owner
}

// isSTUN tells whether the library would read a packet as STUN.
func isSTUN(b []byte) bool { return len(b) >= 8 && binary.BigEndian.Uint32(b[4:]) == stunCookie }

// classOf is the class of a message of STUN, and whether it is one of Binding, the only method between peers.
func classOf(b []byte) (stun.MessageClass, bool) {
	var t stun.MessageType
	t.ReadValue(binary.BigEndian.Uint16(b))
	return t.Class, t.Method == stun.MethodBinding
}

// kindOf tells whether a packet is a check of a way, or the answer to one. An answer is only given to who knows the secret of
// the connection, is no larger than the question, and so is not counted.
func kindOf(b []byte) (asks, answers bool) {
	if !isSTUN(b) || len(b) < stunHeader {
		return false, false
	}
	class, binding := classOf(b)
	return binding && class == stun.ClassRequest, binding && (class == stun.ClassSuccessResponse || class == stun.ClassErrorResponse)
}

// owned tells whether the connection was answered by the address.
func (m *mux) owned(key netip.AddrPort, c *muxConn) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	r := m.routes[key]
	return r != nil && r.owner == c
}

// proven notes that a set-up has succeeded with the peer.
func (m *mux) proven(peer p2p.Peer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.budget.Proven(string(peer.Remote), time.Now())
}

// leaves tells whether a packet may be sent, and notes what it asks. reads is that of the connection's addresses which is
// read.
func (m *mux) leaves(b []byte, key netip.AddrPort, to *net.UDPAddr, c *muxConn, reads bool) (bool, error) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byName[c.name] != c {
		return false, net.ErrClosed
	}
	r := m.claim(key, to, c)
	asks, answers := kindOf(b)
	if r.owner != c && !answers {
		if asks && !reads || !m.budget.Allow(c.peer, key, len(b), now) {
			return false, nil
		}
	}
	if asks {
		if len(r.asked) >= maxAsked {
			r.asked = slices.Delete(r.asked, 0, 1)
		}
		r.asked = append(r.asked, question{[stun.TransactionIDSize]byte(b[8:stunHeader]), c})
	}
	return true, nil
}

// claim notes that a connection sends to an address; m.mu is held. Where it has sent to too many, the one is forgotten that
// it has sent to first and that has not answered.
func (m *mux) claim(key netip.AddrPort, address *net.UDPAddr, c *muxConn) *route {
	r := m.routes[key]
	if r == nil {
		r = &route{from: address}
		m.routes[key] = r
	}
	if r.owner == c || slices.Contains(r.claims, c) {
		return r
	}
	if len(r.claims) >= maxClaims {
		m.drop(key, r.claims[0])
	}
	r.claims = append(r.claims, c)
	if len(c.addresses) >= maxAddresses {
		oldest := slices.IndexFunc(c.addresses, func(a netip.AddrPort) bool { return m.routes[a].owner != c })
		m.drop(c.addresses[max(oldest, 0)], c)
	}
	m.routes[key] = r // where it was the one that was dropped
	c.addresses = append(c.addresses, key)
	return r
}

// drop forgets that a connection has sent to an address; m.mu is held.
func (m *mux) drop(key netip.AddrPort, c *muxConn) {
	m.leave(key, c)
	if i := slices.Index(c.addresses, key); i >= 0 {
		c.addresses = slices.Delete(c.addresses, i, i+1)
	}
}

// leave takes a connection out of an address's route; m.mu is held.
func (m *mux) leave(key netip.AddrPort, c *muxConn) {
	r := m.routes[key]
	if r == nil {
		return
	}
	if r.owner == c {
		r.owner = nil
	}
	r.claims = slices.DeleteFunc(r.claims, func(o *muxConn) bool { return o == c })
	r.asked = slices.DeleteFunc(r.asked, func(q question) bool { return q.of == c })
	if r.owner == nil && len(r.claims) == 0 {
		delete(m.routes, key)
	}
}

// answered returns whose question a message of STUN answers. With a success the address is that connection's: unless it is
// another's that was answered a moment ago.
func (m *mux) answered(b []byte, key netip.AddrPort) (*muxConn, *net.UDPAddr) {
	class, _ := classOf(b)
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.routes[key]
	if r == nil {
		return nil, nil
	}
	id := [stun.TransactionIDSize]byte(b[8:stunHeader])
	i := slices.IndexFunc(r.asked, func(q question) bool { return q.id == id })
	if i < 0 {
		return nil, nil
	}
	c := r.asked[i].of
	r.asked = slices.Delete(r.asked, i, i+1)
	if class != stun.ClassSuccessResponse {
		return c, r.from
	}
	m.budget.Answered(key, now)
	switch {
	case r.owner == c:
		r.heard = now
	case r.owner == nil || now.Sub(r.heard) > ownerQuiet:
		if r.owner != nil {
			r.claims = append(r.claims, r.owner)
		}
		r.owner, r.heard = c, now
		r.claims = slices.DeleteFunc(r.claims, func(o *muxConn) bool { return o == c })
	}
	return c, r.from
}

// named returns whose a request of STUN is by what it says. From how many addresses a connection's requests may come is
// bounded: the library remembers each.
func (m *mux) named(b []byte, from netip.AddrPort) *muxConn {
	message := stun.Message{Raw: b}
	if message.Decode() != nil {
		return nil
	}
	username, err := message.Get(stun.AttrUsername)
	if err != nil {
		return nil
	}
	ufrag, _, _ := strings.Cut(string(username), ":")
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.byName[muxName{ufrag, from.Addr().Is6()}]
	if c == nil || slices.Contains(c.addresses, from) {
		return c
	}
	if c.strange >= maxStrange || m.policy.Check(from) != nil {
		return nil
	}
	c.strange++
	return c
}
