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
