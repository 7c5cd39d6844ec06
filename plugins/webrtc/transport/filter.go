package transport

import (
	"encoding/binary"
	"net"

	"github.com/pion/transport/v2"
)

const (
	stunHeader = 20
	stunCookie = 0x2112A442
)

// STUN attributes that hold an address, which the library reads without looking at their length.
func addressAttribute(t uint16) bool {
	switch t {
	case 0x0001, 0x0002, 0x0004, 0x0005, 0x000b, // MAPPED, RESPONSE, SOURCE, CHANGED, REFLECTED-FROM
		0x0012, 0x0016, 0x0020, // XOR-PEER, XOR-RELAYED, XOR-MAPPED
		0x8020, 0x8023, 0x802b, 0x802c: // old XOR-MAPPED, ALTERNATE-SERVER, RESPONSE-ORIGIN, OTHER
		return true
	}
	return false
}

// wellFormed tells whether a packet may be passed to the library: DTLS, well-formed STUN, or, if relayed is set, data
// of a TURN server's channel.
func wellFormed(b []byte, relayed bool) bool {
	if len(b) == 0 {
		return false
	}
	switch {
	case len(b) >= 8 && binary.BigEndian.Uint32(b[4:]) == stunCookie: // the library recognises STUN by the cookie alone
		return wellFormedSTUN(b)
	case b[0] >= 20 && b[0] <= 63: // DTLS (RFC 7983)
		return true
	case b[0] >= 64 && b[0] <= 127:
		return relayed
	}
	return false
}

// wellFormedSTUN checks the header, that every attribute lies within the message, and the lengths of those that hold
// an address.
func wellFormedSTUN(b []byte) bool {
	if len(b) < stunHeader || b[0]>>6 != 0 || len(b)%4 != 0 || int(binary.BigEndian.Uint16(b[2:])) != len(b)-stunHeader {
		return false
	}
	for rest := b[stunHeader:]; len(rest) > 0; {
		if len(rest) < 4 {
			return false
		}
		kind, size := binary.BigEndian.Uint16(rest), int(binary.BigEndian.Uint16(rest[2:]))
		padded := (size + 3) &^ 3
		if padded > len(rest)-4 {
			return false
		}
		if addressAttribute(kind) && !wellFormedAddress(rest[4:4+size]) {
			return false
		}
		if kind == 0x0009 && size < 4 { // ERROR-CODE
			return false
		}
		rest = rest[4+padded:]
	}
	return true
}

func wellFormedAddress(v []byte) bool {
	switch {
	case len(v) == 8:
		return v[1] == 1
	case len(v) == 20:
		return v[1] == 2
	}
	return false
}

// filteredNet filters the packets of the library's own sockets: those to STUN and TURN servers, and those of a connection
// that does not use the shared socket.
type filteredNet struct {
	transport.Net
	gate *gate
}

func (n filteredNet) ListenPacket(network, address string) (net.PacketConn, error) {
	c, err := n.Net.ListenPacket(network, address)
	if err != nil {
		return nil, err
	}
	return filteredPacketConn{c, n.gate}, nil
}

func (n filteredNet) ListenUDP(network string, at *net.UDPAddr) (transport.UDPConn, error) {
	c, err := n.Net.ListenUDP(network, at)
	if err != nil {
		return nil, err
	}
	return filteredUDPConn{c, n.gate}, nil
}

func (n filteredNet) DialUDP(network string, local, remote *net.UDPAddr) (transport.UDPConn, error) {
	c, err := n.Net.DialUDP(network, local, remote)
	if err != nil {
		return nil, err
	}
	return filteredUDPConn{c, n.gate}, nil
}

type filteredPacketConn struct {
	net.PacketConn
	gate *gate
}

func (c filteredPacketConn) WriteTo(b []byte, to net.Addr) (int, error) {
	if !c.gate.leaves(b, to) {
		return len(b), nil
	}
	return c.PacketConn.WriteTo(b, to)
}

func (c filteredPacketConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := c.PacketConn.ReadFrom(b)
		if err != nil {
			return n, from, err
		}
		if c.gate.takes(b[:n], from) {
			return n, from, nil
		}
	}
}

type filteredUDPConn struct {
	transport.UDPConn
	gate *gate
}

func (c filteredUDPConn) WriteTo(b []byte, to net.Addr) (int, error) {
	if !c.gate.leaves(b, to) {
		return len(b), nil
	}
	return c.UDPConn.WriteTo(b, to)
}

func (c filteredUDPConn) WriteToUDP(b []byte, to *net.UDPAddr) (int, error) {
	if !c.gate.leaves(b, to) {
		return len(b), nil
	}
	return c.UDPConn.WriteToUDP(b, to)
}

func (c filteredUDPConn) Read(b []byte) (int, error) {
	for {
		n, err := c.UDPConn.Read(b)
		if err != nil || c.gate.takes(b[:n], nil) {
			return n, err
		}
	}
}

func (c filteredUDPConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := c.UDPConn.ReadFrom(b)
		if err != nil {
			return n, from, err
		}
		if c.gate.takes(b[:n], from) {
			return n, from, nil
		}
	}
}

func (c filteredUDPConn) ReadFromUDP(b []byte) (int, *net.UDPAddr, error) {
	for {
		n, from, err := c.UDPConn.ReadFromUDP(b)
		if err != nil {
			return n, from, err
		}
		if c.gate.takes(b[:n], from) {
			return n, from, nil
		}
	}
}
