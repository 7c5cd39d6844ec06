package wire

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// MaxHandshake is the longest body of a handshake frame, in bytes.
const MaxHandshake = 4 << 10

// ChallengeSize is the length of a challenge, in bytes.
const ChallengeSize = 32

// Challenge is what a node says first. Bytes are base64 in JSON, as everywhere in the handshake.
type Challenge struct {
	Domain    string `json:"domain"`    // the domain that the node serves
	Challenge []byte `json:"challenge"` // fresh random bytes
}

// Proof is the stub's answer: the runtime's URL, the key that its id is derived from, and a signature over
// proof.MessageNode.
type Proof struct {
	Runtime   message.URL `json:"runtime"`
	Key       []byte      `json:"key"`
	Signature []byte      `json:"signature"`
}

// Welcome ends the handshake.
type Welcome struct {
	Node string `json:"node,omitempty"` // the node's version, for people
}

// Refused says why a node does not take a connection or a frame. Code is a response code of the specification.
type Refused struct {
	Code   int    `json:"code"`
	Reason string `json:"reason"`
}

func (r *Refused) Error() string { return fmt.Sprintf("the node refused (%d): %s", r.Code, r.Reason) }

// NewChallenge makes a node's challenge.
func NewChallenge(domain string) Challenge {
	c := Challenge{Domain: domain, Challenge: make([]byte, ChallengeSize)}
	rand.Read(c.Challenge) // never fails
	return c
}

// AppendHandshake appends a handshake frame: v is one of the types above.
func AppendHandshake(b []byte, kind Kind, v any) []byte { return Append(b, kind, message.Encode(v)) }

// ParseHandshake reads the body of a handshake frame into v. Unknown members are ignored: a later version may have more.
func ParseHandshake(body []byte, v any) error {
	if len(body) > MaxHandshake {
		return fmt.Errorf("%w: a handshake of %d bytes, at most %d are allowed", ErrMalformed, len(body), MaxHandshake)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("%w: handshake: %w", ErrMalformed, err)
	}
	return nil
}

// Check tells whether p proves that its sender is p.Runtime, for the challenge c. The error is a *[Refused].
func (p *Proof) Check(c Challenge) error {
	runtime, err := message.ParseURL(string(p.Runtime))
	switch {
	case err != nil:
		return &Refused{Code: message.CodeBadRequest, Reason: "runtime: " + err.Error()}
	case runtime.Runtime() != runtime:
		return &Refused{Code: message.CodeBadRequest, Reason: "runtime: want hyperty-runtime://<domain>/<id> and nothing else"}
	case len(p.Key) != ed25519.PublicKeySize:
		return &Refused{Code: message.CodeBadRequest, Reason: fmt.Sprintf("key: %d bytes, want an Ed25519 public key of %d", len(p.Key), ed25519.PublicKeySize)}
	case strings.TrimPrefix(runtime.Path(), "/") != proof.RuntimeID(p.Key):
		return &Refused{Code: message.CodeUnauthorised, Reason: "the runtime's id is not derived from this key"}
	case !ed25519.Verify(p.Key, proof.MessageNode(c.Domain, runtime, c.Challenge), p.Signature):
		return &Refused{Code: message.CodeUnauthorised, Reason: "the signature is not one over this challenge with this key"}
	}
	return nil
}
