package session

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/flynn/noise"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// The handshake is Noise_XX_25519_AESGCM_SHA256: an address certifies a runtime's Ed25519 key but not the X25519 key of
// its sessions, which therefore travels, encrypted, with its certificate. The runtime with the lower URL is the
// initiator, so that both sides may begin at once.
//
// A state of the Noise library that has failed to read a message is not used again: what a stranger can inject must
// not spoil a handshake that is under way. So only its ephemeral secret is kept, and the state is made anew for each
// message that comes.

// protocol is what every handshake begins with, besides the URLs of both sides.
const protocol = "protofly session v4\x00"

// The steps of the handshake, the first byte of a hello's body.
const (
	stepAsk        = iota // the responder asks the initiator to begin
	stepFirst             // → e, incarnation
	stepSecond            // ← e, ee, s, es, incarnation, certificate
	stepThird             // → s, se, certificate
	stepCookie            // a side under load: say that again, with this cookie
	stepWithCookie        // the cookie, and the step 0 or 1 that is said again
)

const (
	keySize         = 32
	incarnationSize = 8
	firstSize       = keySize + incarnationSize
	secondSize      = keySize + keySize + wire.TagSize + incarnationSize + proof.CertificateSize + wire.TagSize
	thirdSize       = keySize + wire.TagSize + proof.CertificateSize + wire.TagSize
	// maxHello is the largest body of a hello: a later version may add to the payloads.
	maxHello = 1 << 10
)

// Key is what a runtime proves in its sessions that it is who its URL says.
type Key struct {
	Private     []byte // X25519
	Certificate []byte // of the public half: proof.Certify
}

var (
	errHandshake = errors.New("handshake failed")
	errBusy      = errors.New("too many handshakes")
)

// newSecret is an ephemeral secret.
func newSecret() (secret [keySize]byte) {
	rand.Read(secret[:]) // never fails: crypto/rand ends the process instead
	return secret
}

// local is this runtime's part of all handshakes.
type local struct {
	incarnation uint64
	static      noise.DHKey
	certificate []byte
}

func newLocal(o *Options) (local, error) {
	key, err := noise.DH25519.GenerateKeypair(bytes.NewReader(o.Key.Private)) // fills in the public half
	if err != nil {
		return local{}, fmt.Errorf("session key: %w", err)
	}
	return local{incarnation: o.Incarnation, static: key, certificate: o.Key.Certificate}, proof.VerifyCertificate(o.Self, key.Public, o.Key.Certificate)
}

// state is a fresh state of the Noise library for a handshake between the runtimes lower and higher.
func (l *local) state(lower, higher message.URL, initiator bool, secret *[keySize]byte) (*noise.HandshakeState, error) {
	return noise.NewHandshakeState(noise.Config{
		CipherSuite: suite, Pattern: noise.HandshakeXX, Initiator: initiator, StaticKeypair: l.static,
		Prologue: []byte(protocol + string(lower) + "\x00" + string(higher)),
		Random:   bytes.NewReader(secret[:]), // of the one ephemeral key
	})
}

// offer is a handshake that this runtime, the initiator, has begun.
type offer struct {
	local  *local
	remote message.URL
	self   message.URL
	secret [keySize]byte // ephemeral
	first  []byte
}

// agreed is what a handshake ends with: the peer has proven who it is, and that it lives.
type agreed struct {
	incarnation uint64
	keys        *keys
	third       []byte
}

func (l *local) offer(self, remote message.URL, secret [keySize]byte) (*offer, error) {
	o := &offer{local: l, self: self, remote: remote, secret: secret}
	_, first, err := o.begin()
	o.first = first
	return o, err
}

func (o *offer) begin() (*noise.HandshakeState, []byte, error) {
	hs, err := o.local.state(o.self, o.remote, true, &o.secret)
	if err != nil {
		return nil, nil, err
	}
	first, _, _, err := hs.WriteMessage(nil, incarnationPayload(o.local.incarnation, nil))
	return hs, first, err
}

// second takes the second message. Nothing changes where it is not the answer to this offer.
func (o *offer) second(m []byte) (a agreed, err error) {
	hs, _, err := o.begin()
	if err != nil {
		return a, err
	}
	payload, _, _, err := hs.ReadMessage(nil, m)
	if err != nil {
		return a, fmt.Errorf("%w: %w", errHandshake, err)
	}
	incarnation, certificate, err := parsePayload(payload)
	if err != nil {
		return a, err
	}
	if err := verify(o.remote, hs.PeerStatic(), certificate); err != nil {
		return a, err
	}
	third, out, in, err := hs.WriteMessage(nil, o.local.certificate)
	if err != nil {
		return a, fmt.Errorf("%w: %w", errHandshake, err)
	}
	return agreed{incarnation: incarnation, keys: newKeys(out, in), third: third}, nil
}

// answer is a handshake that the remote runtime has begun.
type answer struct {
	local         *local
	self, remote  message.URL
	from          uint64      // the initiator's incarnation
	stub          message.URL // by which it came; of a session's
	secret        [keySize]byte
	first, second []byte
}

// answer takes the first message of an initiator and answers it.
func (l *local) answer(self, remote message.URL, first []byte, secret [keySize]byte) (*answer, error) {
	a := &answer{local: l, self: self, remote: remote, secret: secret, first: bytes.Clone(first)}
	var err error
	_, a.from, a.second, err = a.begin()
	return a, err
}

// begin makes the state up to the second message. It changes nothing in a: strangers' handshakes are read by several at once.
func (a *answer) begin() (hs *noise.HandshakeState, from uint64, second []byte, err error) {
	if hs, err = a.local.state(a.remote, a.self, false, &a.secret); err != nil {
		return nil, 0, nil, err
	}
	payload, _, _, err := hs.ReadMessage(nil, a.first)
	if err != nil {
		return nil, 0, nil, fmt.Errorf("%w: %w", errHandshake, err)
	}
	if len(payload) < incarnationSize {
		return nil, 0, nil, wire.ErrShort
	}
	second, _, _, err = hs.WriteMessage(nil, incarnationPayload(a.local.incarnation, a.local.certificate))
	return hs, binary.BigEndian.Uint64(payload), second, err
}

// third takes the third message. Nothing changes where it is not of this handshake.
func (a *answer) third(m []byte) (agreed, error) {
	hs, _, _, err := a.begin()
	if err != nil {
		return agreed{}, err
	}
	certificate, in, out, err := hs.ReadMessage(nil, m)
	if err != nil {
		return agreed{}, fmt.Errorf("%w: %w", errHandshake, err)
	}
	if len(certificate) < proof.CertificateSize {
		return agreed{}, wire.ErrShort
	}
	if err := verify(a.remote, hs.PeerStatic(), certificate[:proof.CertificateSize]); err != nil {
		return agreed{}, err
	}
	return agreed{incarnation: a.from, keys: newKeys(out, in), third: bytes.Clone(m)}, nil
}

// verify is the signature check: the session key that the other side has shown to own is the one of the runtime that
// is meant.
func verify(remote message.URL, key, certificate []byte) error {
	return proof.VerifyCertificate(remote, key, certificate)
}

func incarnationPayload(incarnation uint64, certificate []byte) []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, incarnationSize+len(certificate)), incarnation), certificate...)
}

func parsePayload(payload []byte) (incarnation uint64, certificate []byte, err error) {
	if len(payload) < incarnationSize+proof.CertificateSize {
		return 0, nil, wire.ErrShort
	}
	return binary.BigEndian.Uint64(payload), payload[incarnationSize:][:proof.CertificateSize], nil
}
