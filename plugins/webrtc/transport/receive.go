package transport

import (
	"errors"
	"net"
	"net/netip"
	"strings"

	"github.com/pion/stun"
)

// read hands out the socket's packets until it is closed.
func (m *mux) read() {
	room := largestPacket
	if takesMany(m.raw) {
		room = largestBatch
	}
	b, control := make([]byte, room+1), make([]byte, askSize)
	for {
		n, told, from, err := m.receive(b, control)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil { // else it is what an earlier packet came upon
			m.deliver(b[:n], told, from)
		}
	}
}

// receive returns the number of bytes that have come, the size of their packets, and the sender.
func (m *mux) receive(b, control []byte) (n, size int, from netip.AddrPort, err error) {
	n, said, _, from, err := m.raw.ReadMsgUDPAddrPort(b, control)
	if size = told(control[:said]); size <= 0 {
		size = n
	}
	return n, size, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), err
}

// deliver hands out packets of one sender: all of the size but the last, which may be smaller.
func (m *mux) deliver(b []byte, size int, from netip.AddrPort) {
	if size > largestPacket {
		return // nothing that the library takes
	}
	key := netip.AddrPortFrom(from.Addr().WithZone(""), from.Port())
	m.mu.RLock()
	r := m.routes[key]
	m.mu.RUnlock()
	if r.to != nil {
		r.to.put(b, size, r.from)
		return
	}
	for len(b) > 0 { // the first of a peer say each for whom they are
		one := b[:min(size, len(b))]
		if to := m.named(one, from); to != nil {
			to.put(one, len(one), net.UDPAddrFromAddrPort(from))
		}
		b = b[len(one):]
	}
}

// named returns whose a packet is by what it says.
func (m *mux) named(b []byte, from netip.AddrPort) *muxConn {
	if !wellFormed(b, false) || !stun.IsMessage(b) {
		return nil
	}
	message := stun.Message{Raw: b}
	if message.Decode() != nil {
		return nil
	}
	username, err := message.Get(stun.AttrUsername)
	if err != nil {
		return nil
	}
	ufrag, _, _ := strings.Cut(string(username), ":")
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.byName[muxName{ufrag, from.Addr().Is6()}]
}
