package transport

import (
	"bytes"
	"crypto/sha256"
	"net"
	"net/netip"

	"github.com/protofly/protofly/sdk/p2p"
)

// A punch begins with a byte whose two highest bits are 0, as STUN's messages do; QUIC's packets never do.
const punchSize = 4 + len(token{})

// encodePunch writes the punch for the set-up that its Requester has called by the token.
func encodePunch(of token) []byte {
	to := of.punched()
	return append([]byte{0x3f, 'P', 'F', 'Q'}, to[:]...)
}

// punched is what the token is in punches: no byte of a datagram to an address that may not be the peer's is the peer's
// choice.
func (t token) punched() (to token) {
	sum := sha256.Sum256(append([]byte("protofly quic punch"), t[:]...))
	copy(to[:], sum[:])
	return to
}

func parsePunch(b []byte) (to token, ok bool) {
	if len(b) != punchSize || !bytes.HasPrefix(b, []byte{0x3f, 'P', 'F', 'Q'}) {
		return to, false
	}
	copy(to[:], b[4:])
	return to, true
}

// read takes in what is not QUIC from the socket: punches and STUN servers' answers. Anything else is dropped.
func (t *Transport) read() {
	b := make([]byte, 2048)
	for {
		n, from, err := t.quic.ReadNonQUICPacket(t.life, b)
		if err != nil {
			return // closed
		}
		if u, ok := from.(*net.UDPAddr); ok {
			t.take(b[:n], netip.AddrPortFrom(u.AddrPort().Addr().Unmap(), u.AddrPort().Port()))
		}
	}
}

// take hands one datagram to whom it is for. It never blocks: both kinds are repeated by their senders.
func (t *Transport) take(b []byte, from netip.AddrPort) {
	if to, ok := parsePunch(b); ok {
		t.mu.Lock()
		s := t.setups[to]
		t.mu.Unlock()
		if s != nil && s.role == p2p.Requester {
			select {
			case s.punched <- from:
			default:
			}
		}
		return
	}
	id, mapped, err := parseAnswer(b)
	if err != nil {
		return
	}
	t.mu.Lock()
	q := t.queries[id]
	t.mu.Unlock()
	if q != nil && q.server == from {
		select {
		case q.answer <- mapped:
		default:
		}
	}
}
