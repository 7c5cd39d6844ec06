package wire

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// MaxToken is the longest token, in bytes.
const MaxToken = 2 << 10

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
	// Token is what the node's operator gave the runtime, for a node that admits only invited runtimes: a JSON Web Token.
	Token string `json:"token,omitempty"`
}

// Welcome ends the handshake.
type Welcome struct {
	Node string `json:"node,omitempty"` // the node's version, for people
}

// Refused says why a node does not take a connection or a frame. Code is a response code of the specification.
type Refused struct {
	Code   int    `json:"code"`
	Reason string `json:"reason"`
	Retry  int    `json:"retry,omitempty"` // seconds until it is worth trying again; 0: not known
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
	runtime, err := p.Runtime, p.Runtime.Check() // it is signed: it has one form
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

// TokenDomain returns the domain for whose node a token is, as the token says, unchecked: a stub shows a token to no other
// node.
func TokenDomain(token string) (domain string, ok bool) {
	if len(token) > MaxToken {
		return "", false
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", false
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", false
	}
	var c struct {
		Audience json.RawMessage `json:"aud"`
	}
	if json.Unmarshal(text, &c) != nil {
		return "", false
	}
	var list []string
	if json.Unmarshal(c.Audience, &list) == nil && len(list) == 1 {
		return list[0], list[0] != ""
	}
	if json.Unmarshal(c.Audience, &domain) != nil {
		return "", false
	}
	return domain, domain != ""
}
