package handshake

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/flynn/noise"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/internal/runtimekey"
	"github.com/protofly/protofly/sdk/message"
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

const (
	KeySize         = 32
	incarnationSize = 8
	FirstSize       = KeySize + incarnationSize
	SecondSize      = KeySize + KeySize + wire.TagSize + incarnationSize + runtimekey.CertificateSize + wire.TagSize
	ThirdSize       = KeySize + wire.TagSize + runtimekey.CertificateSize + wire.TagSize
)

// What a side can do that earlier ones of this version could not is a byte behind what is known of its payload, encrypted; those
// ignore it.
const (
	TellsRefusals = 1 << iota // it reads records that refuse messages, and tells their senders
)

// Key is what a runtime proves in its sessions that it is who its URL says.
type Key struct {
	Private     []byte // X25519
	Certificate []byte // of the public half: runtimekey.Certify
}

var (
	ErrHandshake = errors.New("handshake failed")
	ErrBusy      = errors.New("too many handshakes")
)

// NewSecret is an ephemeral secret.
func NewSecret() (secret [KeySize]byte) {
	rand.Read(secret[:]) // never fails: crypto/rand ends the process instead
	return secret
}

// Local is this runtime's part of all handshakes.
type Local struct {
	Incarnation uint64
	Abilities   byte
	static      noise.DHKey
	certificate []byte
}

func NewLocal(self message.URL, incarnation uint64, k Key) (Local, error) {
	key, err := noise.DH25519.GenerateKeypair(bytes.NewReader(k.Private)) // fills in the public half
	if err != nil {
		return Local{}, fmt.Errorf("session key: %w", err)
	}
	return Local{Incarnation: incarnation, static: key, certificate: k.Certificate}, runtimekey.VerifyCertificate(self, key.Public, k.Certificate)
}

// WithIncarnation is the same runtime as another incarnation.
func (l Local) WithIncarnation(incarnation uint64) *Local {
	l.Incarnation = incarnation
	return &l
}

// state is a fresh state of the Noise library for a handshake between the runtimes lower and higher.
func (l *Local) state(lower, higher message.URL, initiator bool, secret *[KeySize]byte) (*noise.HandshakeState, error) {
	return noise.NewHandshakeState(noise.Config{
		CipherSuite: Suite, Pattern: noise.HandshakeXX, Initiator: initiator, StaticKeypair: l.static,
		Prologue: []byte(protocol + string(lower) + "\x00" + string(higher)),
		Random:   bytes.NewReader(secret[:]), // of the one ephemeral key
	})
}

// Offer is a handshake that this runtime, the initiator, has begun.
type Offer struct {
	local  *Local
	remote message.URL
	self   message.URL
	secret [KeySize]byte // ephemeral
	First  []byte
}

// Agreed is what a handshake ends with: the peer has proven who it is, and that it lives.
type Agreed struct {
	Incarnation uint64
	Abilities   byte // of the other side
	Keys        *Keys
	Third       []byte
}

func (l *Local) Offer(self, remote message.URL, secret [KeySize]byte) (*Offer, error) {
	o := &Offer{local: l, self: self, remote: remote, secret: secret}
	_, first, err := o.begin()
	o.First = first
	return o, err
}

func (o *Offer) begin() (*noise.HandshakeState, []byte, error) {
	hs, err := o.local.state(o.self, o.remote, true, &o.secret)
	if err != nil {
		return nil, nil, err
	}
	first, _, _, err := hs.WriteMessage(nil, incarnationPayload(o.local.Incarnation, nil))
	return hs, first, err
}

// Second takes the second message. Nothing changes where it is not the answer to this offer.
func (o *Offer) Second(m []byte) (a Agreed, err error) {
	hs, _, err := o.begin()
	if err != nil {
		return a, err
	}
	payload, _, _, err := hs.ReadMessage(nil, m)
	if err != nil {
		return a, fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	incarnation, certificate, able, err := parsePayload(payload)
	if err != nil {
		return a, err
	}
	if err := verify(o.remote, hs.PeerStatic(), certificate); err != nil {
		return a, err
	}
	third, out, in, err := hs.WriteMessage(nil, o.local.withAbilities(o.local.certificate))
	if err != nil {
		return a, fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	return Agreed{Incarnation: incarnation, Abilities: able, Keys: NewKeys(out, in), Third: third}, nil
}

// Answer is a handshake that the remote runtime has begun.
type Answer struct {
	local         *Local
	self, remote  message.URL
	From          uint64 // the initiator's incarnation
	secret        [KeySize]byte
	First, Second []byte
}

// Answer takes the first message of an initiator and answers it.
func (l *Local) Answer(self, remote message.URL, first []byte, secret [KeySize]byte) (*Answer, error) {
	a := &Answer{local: l, self: self, remote: remote, secret: secret, First: bytes.Clone(first)}
	var err error
	_, a.From, a.Second, err = a.begin()
	return a, err
}

// begin makes the state up to the second message. It changes nothing in a: strangers' handshakes are read by several at once.
func (a *Answer) begin() (hs *noise.HandshakeState, from uint64, second []byte, err error) {
	if hs, err = a.local.state(a.remote, a.self, false, &a.secret); err != nil {
		return nil, 0, nil, err
	}
	payload, _, _, err := hs.ReadMessage(nil, a.First)
	if err != nil {
		return nil, 0, nil, fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	if len(payload) < incarnationSize {
		return nil, 0, nil, wire.ErrShort
	}
	second, _, _, err = hs.WriteMessage(nil, a.local.withAbilities(incarnationPayload(a.local.Incarnation, a.local.certificate)))
	return hs, binary.BigEndian.Uint64(payload), second, err
}

// Third takes the third message. Nothing changes where it is not of this handshake.
func (a *Answer) Third(m []byte) (Agreed, error) {
	hs, _, _, err := a.begin()
	if err != nil {
		return Agreed{}, err
	}
	certificate, in, out, err := hs.ReadMessage(nil, m)
	if err != nil {
		return Agreed{}, fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	if len(certificate) < runtimekey.CertificateSize {
		return Agreed{}, wire.ErrShort
	}
	if err := verify(a.remote, hs.PeerStatic(), certificate[:runtimekey.CertificateSize]); err != nil {
		return Agreed{}, err
	}
	return Agreed{Incarnation: a.From, Abilities: abilitiesIn(certificate[runtimekey.CertificateSize:]), Keys: NewKeys(out, in), Third: bytes.Clone(m)}, nil
}

// verify is the signature check: the session key that the other side has shown to own is the one of the runtime that
// is meant.
func verify(remote message.URL, key, certificate []byte) error {
	return runtimekey.VerifyCertificate(remote, key, certificate)
}

func incarnationPayload(incarnation uint64, certificate []byte) []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, incarnationSize+len(certificate)), incarnation), certificate...)
}

// withAbilities is a payload with what this side can do behind it.
func (l *Local) withAbilities(payload []byte) []byte {
	if l.Abilities == 0 {
		return payload
	}
	return append(bytes.Clone(payload), l.Abilities)
}

// abilitiesIn is what the other side can do, as the rest of its payload says.
func abilitiesIn(rest []byte) byte {
	if len(rest) == 0 {
		return 0
	}
	return rest[0]
}

func parsePayload(payload []byte) (incarnation uint64, certificate []byte, abilities byte, err error) {
	if len(payload) < incarnationSize+runtimekey.CertificateSize {
		return 0, nil, 0, wire.ErrShort
	}
	rest := payload[incarnationSize:]
	return binary.BigEndian.Uint64(payload), rest[:runtimekey.CertificateSize], abilitiesIn(rest[runtimekey.CertificateSize:]), nil
}
