package transport

import (
	"errors"
	"net"
	"net/netip"

	"github.com/pion/stun"
)

// read hands out the socket's packets until it is closed.
func (m *mux) read() {
	defer m.source.Close()
	for {
		b, err := m.source.Read()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil { // else it is what an earlier packet came upon
			m.deliver(b.Packets, b.Size, netip.AddrPortFrom(b.From.Addr().Unmap(), b.From.Port()))
		}
	}
}

// deliver hands out packets of one sender: all of the size but the last, which may be smaller.
func (m *mux) deliver(b []byte, size int, from netip.AddrPort) {
	if size > largestPacket {
		return // nothing that the library takes
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

// anySTUN tells whether a packet among them is one of STUN.
func anySTUN(b []byte, size int) bool {
	for ; len(b) > size; b = b[size:] {
		if isSTUN(b[:size]) {
			return true
		}
	}
	return isSTUN(b)
}

// deliverSTUN hands out a packet that says for whom it is.
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
		if to, address := m.answered(b, key); to != nil {
			to.put(b, len(b), address)
		}
	}
}
