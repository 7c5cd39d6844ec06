package transport

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/pion/stun"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/udp/reach"
)

// This file decides which connection a packet belongs to. A STUN request names its connection. A STUN answer belongs to the
// connection that has sent the request with its transaction ID, 96 random bits that were sent nowhere else. With the answer the
// address belongs to that connection, and so do all other packets from there (DTLS). As long as an address has not answered, its
// packets belong to the first connection that has sent there. So a peer that names the address of another's peer gets none of that
// peer's packets, and takes none away.
//
// What is sent to addresses that have not answered is limited by host, by peer and in all. Strangers who use up a limit must not
// prevent other set-ups. So a check that answers a peer's own check does not count.

const (
	maxAsked   = 128 // requests of one connection that are remembered
	maxClaims  = 8   // connections that have sent to one address and got no answer
	maxCredit  = 4   // checks that do not count, one for each that has come from the address
	ownerQuiet = 3 * time.Second
)

// limits are the limits of what is sent to addresses that have not answered. A check has about 120 bytes, and a set-up tries each
// pair of addresses seven times. Many peers may be behind one address.
func limits() reach.Limits {
	return reach.Limits{
		Host:   reach.Amount{Datagrams: 512, Bytes: 64 << 10},
		Remote: reach.Amount{Datagrams: 96, Bytes: 16 << 10},
	}
}

// route says which connections use an address.
type route struct {
	from   *net.UDPAddr // the address, in the library's form
	owner  *muxConn     // the connection that the address has answered; may be nil
	heard  time.Time    // when it has answered last
	claims []*muxConn   // other connections that have sent there, the first of them first
}

// transaction is the ID of a STUN request and its answer.
type transaction [stun.TransactionIDSize]byte

// question is a STUN request that was sent and not answered yet.
type question struct {
	of *muxConn
	at netip.AddrPort
}

// target returns the connection that packets from the address belong to, if they do not name one.
func (r *route) target() *muxConn {
	if r.owner == nil && len(r.claims) > 0 {
		return r.claims[0]
	}
	return r.owner
}

// isSTUN tells whether the library would read a packet as STUN.
func isSTUN(b []byte) bool { return len(b) >= 8 && binary.BigEndian.Uint32(b[4:]) == stunCookie }

// classOf returns the class of a STUN message, and whether its method is Binding, the only one between peers.
func classOf(b []byte) (stun.MessageClass, bool) {
	var t stun.MessageType
	t.ReadValue(binary.BigEndian.Uint16(b))
	return t.Class, t.Method == stun.MethodBinding
}

// kindOf tells whether a packet is a connectivity check, or the answer to one. An answer does not count: the library only answers a
// peer that knows the connection's secret, and an answer is no larger than its request.
func kindOf(b []byte) (asks, answers bool) {
	if !isSTUN(b) || len(b) < stunHeader {
		return false, false
	}
	class, binding := classOf(b)
	return binding && class == stun.ClassRequest, binding && (class == stun.ClassSuccessResponse || class == stun.ClassErrorResponse)
}

// owned tells whether the address has answered the connection.
func (m *mux) owned(key netip.AddrPort, c *muxConn) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	r := m.routes[key]
	return r != nil && r.owner == c
}

// proven notes that a set-up has succeeded with the peer.
func (m *mux) proven(peer message.URL) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.budget.Proven(string(peer), time.Now())
}

// leaves tells whether a packet may be sent, and notes its request. reads says that it is from the connection's part that reads.
func (m *mux) leaves(b []byte, key netip.AddrPort, to *net.UDPAddr, c *muxConn, reads bool) (bool, error) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byName[c.name] != c {
		return false, net.ErrClosed
	}
	r := m.locked().claim(key, to, c)
	asks, answers := kindOf(b)
	if r.owner != c && !answers {
		if asks && !reads || !c.spend(asks, key) && !m.budget.Allow(c.peer, key, len(b), now) {
			return false, nil
		}
	}
	if asks {
		m.locked().ask(transaction(b[8:stunHeader]), question{c, key})
	}
	return true, nil
}

// ask remembers a request.
func (m *lockedMux) ask(id transaction, q question) {
	c := q.of
	if len(c.asked) >= maxAsked {
		delete(m.asked, c.asked[0])
		c.asked = slices.Delete(c.asked, 0, 1)
	}
	c.asked = append(c.asked, id)
	m.asked[id] = q
}

// spend tells whether a check of the address does not count. It needs mux.mu locked.
func (c *muxConn) spend(asks bool, key netip.AddrPort) bool {
	if !asks || c.credit == 0 || c.creditAt != key {
		return false
	}
	c.credit--
	return true
}

// heardFrom notes a request that has come from the address. It needs mux.mu locked.
func (c *muxConn) heardFrom(key netip.AddrPort) {
	if c.creditAt != key {
		c.creditAt, c.credit = key, 0
	}
	c.credit = min(c.credit+1, maxCredit)
}

// claim notes that a connection sends to an address. If the connection has sent to too many, the first of them that has not
// answered is dropped.
func (m *lockedMux) claim(key netip.AddrPort, address *net.UDPAddr, c *muxConn) *route {
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
	m.routes[key] = r // again, in case it was dropped just now
	c.addresses = append(c.addresses, key)
	return r
}

// drop removes an address from those that a connection has sent to.
func (m *lockedMux) drop(key netip.AddrPort, c *muxConn) {
	m.leave(key, c)
	if i := slices.Index(c.addresses, key); i >= 0 {
		c.addresses = slices.Delete(c.addresses, i, i+1)
	}
}

// leave removes a connection from an address's route.
func (m *lockedMux) leave(key netip.AddrPort, c *muxConn) {
	r := m.routes[key]
	if r == nil {
		return
	}
	if r.owner == c {
		r.owner = nil
	}
	r.claims = slices.DeleteFunc(r.claims, func(o *muxConn) bool { return o == c })
	if r.owner == nil && len(r.claims) == 0 {
		delete(m.routes, key)
	}
}

// answered returns the connection whose request a STUN message answers. With a success the address belongs to that connection,
// unless it has answered another one a moment ago.
func (m *lockedMux) answered(b []byte, key netip.AddrPort) (*muxConn, *net.UDPAddr) {
	class, _ := classOf(b)
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	id := transaction(b[8:stunHeader])
	q, ok := m.asked[id]
	if !ok || q.at != key {
		return nil, nil
	}
	c := q.of
	delete(m.asked, id)
	c.asked = slices.DeleteFunc(c.asked, func(other transaction) bool { return other == id })
	r := m.claim(key, net.UDPAddrFromAddrPort(key), c)
	if class == stun.ClassSuccessResponse {
		m.budget.Answered(key, now)
		r.confirm(c, now)
	}
	return c, r.from
}

// confirm makes the connection the owner of the address, unless the address has answered another one a moment ago.
func (r *route) confirm(c *muxConn, now time.Time) {
	switch {
	case r.owner == c:
		r.heard = now
		return
	case r.owner != nil && now.Sub(r.heard) <= ownerQuiet:
		return
	case r.owner != nil:
		r.claims = append(r.claims, r.owner)
	}
	r.owner, r.heard = c, now
	r.claims = slices.DeleteFunc(r.claims, func(o *muxConn) bool { return o == c })
}

// named returns the connection that a STUN request names. A connection's requests may come from a bounded number of addresses, since
// the library remembers each.
func (m *mux) named(b []byte, from, key netip.AddrPort) *muxConn {
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
	if c == nil {
		return nil
	}
	if !slices.Contains(c.addresses, key) {
		if c.strange >= maxStrange || m.policy.Check(key) != nil {
			return nil
		}
		c.strange++
	}
	c.heardFrom(key)
	return c
}
