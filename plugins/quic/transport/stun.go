package transport

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net/netip"
)

// The part of STUN (RFC 8489) that finds out a socket's outer address: a binding request without attributes, and its answer.
const (
	stunHeader         = 20
	stunCookie         = 0x2112a442
	stunRequest        = 0x0001
	stunSuccess        = 0x0101
	stunMapped         = 0x0001
	stunXorMapped      = 0x0020
	stunMaxAttributes  = 32
	stunFamily4        = 1
	stunFamily6        = 2
	stunMaxMessage     = 1280
	stunAttributeSpace = 4
)

// transaction is the ID by which an answer belongs to its request.
type transaction [12]byte

func newTransaction() (id transaction) {
	rand.Read(id[:]) // never fails
	return id
}

var errSTUN = errors.New("not an answer to a STUN binding request")

// encodeRequest returns the binding request.
func (id transaction) encodeRequest() []byte {
	b := make([]byte, stunHeader)
	binary.BigEndian.PutUint16(b, stunRequest)
	binary.BigEndian.PutUint32(b[4:], stunCookie)
	copy(b[8:], id[:])
	return b
}

// parseAnswer reads a success response from a datagram. It is strict: the length must be exact, and every attribute complete.
// It prefers XOR-MAPPED-ADDRESS to MAPPED-ADDRESS, which some NATs rewrite.
func parseAnswer(b []byte) (transaction, netip.AddrPort, error) {
	var id transaction
	if len(b) < stunHeader || len(b) > stunMaxMessage ||
		binary.BigEndian.Uint16(b) != stunSuccess ||
		int(binary.BigEndian.Uint16(b[2:])) != len(b)-stunHeader ||
		binary.BigEndian.Uint32(b[4:]) != stunCookie {
		return id, netip.AddrPort{}, errSTUN
	}
	copy(id[:], b[8:])
	var mapped, xored netip.AddrPort
	rest := b[stunHeader:]
	for n := 0; len(rest) > 0; n++ {
		if n == stunMaxAttributes || len(rest) < stunAttributeSpace {
			return id, netip.AddrPort{}, errSTUN
		}
		kind, size := binary.BigEndian.Uint16(rest), int(binary.BigEndian.Uint16(rest[2:]))
		padded := (size + 3) &^ 3
		if len(rest) < stunAttributeSpace+padded {
			return id, netip.AddrPort{}, errSTUN
		}
		value := rest[stunAttributeSpace : stunAttributeSpace+size]
		rest = rest[stunAttributeSpace+padded:]
		var ok = true
		switch {
		case kind == stunXorMapped && !xored.IsValid():
			xored, ok = stunAddress(value, b[4:stunHeader])
		case kind == stunMapped && !mapped.IsValid():
			mapped, ok = stunAddress(value, nil)
		}
		if !ok {
			return id, netip.AddrPort{}, errSTUN
		}
	}
	if !xored.IsValid() {
		xored = mapped
	}
	if !usable(xored) {
		return id, netip.AddrPort{}, errSTUN
	}
	return id, xored, nil
}

// stunAddress reads an address attribute; mask is the cookie and the transaction, or nil.
func stunAddress(value, mask []byte) (netip.AddrPort, bool) {
	if len(value) < 4 {
		return netip.AddrPort{}, false
	}
	size := 0
	switch value[1] {
	case stunFamily4:
		size = 4
	case stunFamily6:
		size = 16
	}
	if size == 0 || len(value) != 4+size {
		return netip.AddrPort{}, false
	}
	port, ip := bytes.Clone(value[2:4]), bytes.Clone(value[4:])
	if mask != nil {
		port[0], port[1] = port[0]^mask[0], port[1]^mask[1]
		for i := range ip {
			ip[i] ^= mask[i]
		}
	}
	at, ok := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(at.Unmap(), binary.BigEndian.Uint16(port)), ok
}
