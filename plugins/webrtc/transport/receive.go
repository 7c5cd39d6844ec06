package transport

import (
	"errors"
	"net"
	"net/netip"

	"github.com/pion/stun"
)

// read passes the socket's packets to their connections, until the socket is closed.
func (m *mux) read() {
	defer m.source.Close()
	for {
		b, err := m.source.Read()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil { // else an ICMP error about an earlier packet
			m.deliver(b.Packets, b.Size, netip.AddrPortFrom(b.From.Addr().Unmap(), b.From.Port()))
		}
	}
}

// deliver passes on packets of one sender, all of the same size but the last, which may be smaller.
func (m *mux) deliver(b []byte, size int, from netip.AddrPort) {
	if size > largestPacket {
		return // larger than any packet that the library reads
	}
	key := netip.AddrPortFrom(from.Addr().WithZone(""), from.Port())
	var to *muxConn
	var address *net.UDPAddr
	m.mu.RLock()
	if r := m.routes[key]; r != nil {
		to, address = r.target(), r.from
	}
	m.mu.RUnlock()
	if to != nil && !anySTUN(b, size) {
		to.put(b, size, address)
		return
	}
	for len(b) > 0 {
		one := b[:min(size, len(b))]
		b = b[len(one):]
		switch {
		case isSTUN(one):
			m.deliverSTUN(one, from, key)
		case to != nil:
			to.put(one, len(one), address)
		}
	}
}

// anySTUN tells whether one of the packets is STUN.
func anySTUN(b []byte, size int) bool {
	for ; len(b) > size; b = b[size:] {
		if isSTUN(b[:size]) {
			return true
		}
	}
	return isSTUN(b)
}

// deliverSTUN passes on a STUN packet, which names its connection.
func (m *mux) deliverSTUN(b []byte, from, key netip.AddrPort) {
	if !wellFormedSTUN(b) {
		return
	}
	class, binding := classOf(b)
	if !binding {
		return
	}
	switch class {
	case stun.ClassRequest:
		if to := m.named(b, from, key); to != nil {
			to.put(b, len(b), net.UDPAddrFromAddrPort(from))
		}
	case stun.ClassSuccessResponse, stun.ClassErrorResponse:
		if to, address := m.locked().answered(b, key); to != nil {
			to.put(b, len(b), address)
		}
	}
}
