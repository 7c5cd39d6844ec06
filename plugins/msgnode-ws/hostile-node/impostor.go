package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"

	"github.com/flynn/noise"

	"github.com/protofly/protofly/internal/runtimekey"
	"github.com/protofly/protofly/sdk/message"
)

// The parts of a session's frames that are not encrypted (core/session/PROTOCOL.md): the head, and the handshake's steps.
const (
	kindHello = 1
	kindData  = 2
	headSize  = 1 + 1 + 8 + 8

	stepAsk    = 0
	stepFirst  = 1
	stepSecond = 2
	stepThird  = 3
)

func appendHead(b []byte, version, kind byte, from, to uint64) []byte {
	b = append(b, version, kind)
	b = binary.BigEndian.AppendUint64(b, from)
	return binary.BigEndian.AppendUint64(b, to)
}

// state is a handshake between two runtimes with the relay's own keys.
func (r *relay) state(version byte, lower, higher message.URL, initiator bool) (*noise.HandshakeState, error) {
	return noise.NewHandshakeState(noise.Config{
		CipherSuite: noise.NewCipherSuite(noise.DH25519, noise.CipherAESGCM, noise.HashSHA256), Pattern: noise.HandshakeXX,
		Initiator: initiator, StaticKeypair: r.static,
		Prologue: []byte(fmt.Sprintf("protofly session v%d\x00%s\x00%s", version, lower, higher)),
	})
}

// certificate says that the relay's key is the runtime's. It is signed with a key that is not the runtime's.
func (r *relay) certificate(runtime message.URL) []byte {
	return runtimekey.Certify(r.key, runtime, r.static.Public)
}

// pretend plays one side of a handshake, when a frame of peer passes.
func (c *conn) pretend(ctx context.Context, peer message.URL, frame []byte) {
	if len(frame) <= headSize {
		return
	}
	version, self := frame[0], c.self()
	peer = peer.Canonical()
	switch {
	case frame[1] == kindHello && frame[headSize] == stepFirst:
		c.answerAs(ctx, peer, frame)
	case peer < self:
		c.beginAs(ctx, version, peer)
	default: // the stub's runtime is to begin anew, so that there is a handshake to spoil
		c.r.Count("ask for keys")
		c.give(ctx, peer, append(appendHead(nil, version, kindHello, c.r.incarnation(), 0), stepAsk))
	}
}

func (r *relay) incarnation() uint64 { return binary.BigEndian.Uint64(r.Bytes(8)) | 1 }

// answerAs answers the first step of peer as if it were the runtime for which it is.
func (c *conn) answerAs(ctx context.Context, peer message.URL, frame []byte) {
	self, back := c.self(), c.r.of(peer)
	state, err := c.r.state(frame[0], peer, self, false)
	if err != nil || back == nil {
		return
	}
	if _, _, _, err := state.ReadMessage(nil, frame[headSize+1:]); err != nil {
		return
	}
	own := c.r.incarnation()
	payload := append(binary.BigEndian.AppendUint64(nil, own), c.r.certificate(self)...)
	second, _, _, err := state.WriteMessage(nil, payload)
	if err != nil {
		return
	}
	c.r.Count("keys")
	to := binary.BigEndian.Uint64(frame[2:])
	back.give(ctx, self, append(append(appendHead(nil, frame[0], kindHello, own, to), stepSecond), second...))
}

// beginAs begins a handshake with the connection's runtime in the name of peer, which has the lower URL.
func (c *conn) beginAs(ctx context.Context, version byte, peer message.URL) {
	s := &sham{lower: peer, higher: c.self(), version: version, incarnation: c.r.incarnation()}
	var err error
	if s.state, err = c.r.state(version, s.lower, s.higher, true); err != nil {
		return
	}
	first, _, _, err := s.state.WriteMessage(nil, binary.BigEndian.AppendUint64(nil, s.incarnation))
	if err != nil {
		return
	}
	c.r.mu.Lock()
	if len(c.r.shams) > 64 {
		clear(c.r.shams)
	}
	c.r.shams[s.incarnation] = s
	c.r.mu.Unlock()
	c.r.Count("keys")
	c.give(ctx, peer, append(append(appendHead(nil, version, kindHello, s.incarnation, 0), stepFirst), first...))
}

// takeSham takes a runtime's answer to a sham, and ends the handshake: with a certificate of its own, and with a
// forged message under the keys that follow from it. It returns true if the frame was for a sham.
func (r *relay) takeSham(ctx context.Context, peer message.URL, frame []byte) bool {
	if len(frame) <= headSize || frame[1] != kindHello || frame[headSize] != stepSecond {
		return false
	}
	r.mu.Lock()
	s := r.shams[binary.BigEndian.Uint64(frame[10:])]
	if s != nil {
		delete(r.shams, s.incarnation)
	}
	r.mu.Unlock()
	victim := r.of(peer)
	if s == nil || victim == nil || s.higher != peer.Canonical() {
		return s != nil
	}
	if _, _, _, err := s.state.ReadMessage(nil, frame[headSize+1:]); err != nil {
		return true
	}
	third, out, _, err := s.state.WriteMessage(nil, r.certificate(s.lower))
	if err != nil {
		return true
	}
	r.Count("keys to the end")
	to := binary.BigEndian.Uint64(frame[2:])
	victim.give(ctx, s.lower, append(append(appendHead(nil, s.version, kindHello, s.incarnation, to), stepThird), third...))
	victim.give(ctx, s.lower, r.sealed(s, to, out.UnsafeKey()))
	return true
}

// sealed is a forged message in a frame that is sealed with the key that a sham has come to.
func (r *relay) sealed(s *sham, to uint64, key [32]byte) []byte {
	head := appendHead(nil, s.version, kindData, s.incarnation, to)
	head = append(head, make([]byte, 4+8)...) // epoch and counter
	body := []byte{1, 0, 1}                   // generation, seen, next
	body = binary.AppendUvarint(body, 1<<20)  // room
	body = append(body, 1, 1, 0)              // base, first, epoch
	m := r.Forgery()
	text := m.AppendBinary(nil)
	body = append(binary.AppendUvarint(body, uint64(len(text))), text...)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return head
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return head
	}
	return aead.Seal(head, head[headSize:], body, head)
}
