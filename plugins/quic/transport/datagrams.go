package transport

import (
	"bytes"
	"crypto/sha256"
	"net"
	"net/netip"

	"github.com/protofly/protofly/sdk/p2p"
)

// The two highest bits of a punch's first byte are 0, as in STUN's messages; in QUIC's packets they never are.
const punchSize = 4 + len(token{})

// encodePunch returns the punch for the set-up to which the Requester gave this token.
func encodePunch(of token) []byte {
	to := of.punched()
	return append([]byte{0x3f, 'P', 'F', 'Q'}, to[:]...)
}

// punched returns the token's form in punches, a digest: so a peer cannot choose what is sent to an address that may be another's.
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

// read reads from the socket what is not QUIC: punches and STUN servers' answers. It drops everything else.
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

// take passes one datagram to the set-up or query that it is for. It never blocks, since the senders repeat both kinds.
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
