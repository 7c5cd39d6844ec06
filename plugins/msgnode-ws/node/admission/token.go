package admission

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// Token says that a runtime may use a node. Its text is a JSON Web Token, signed with Ed25519.
type Token struct {
	ID      string      // by which it can be revoked
	Runtime message.URL // the only one that may use it; "": any
	Uses    int         // for so many runtimes, the first that come; 0: for any number
	Expires time.Time   // zero: never
}

// claims are a token's contents.
type claims struct {
	jwt.RegisteredClaims
	Uses int `json:"uses,omitempty"`
}

// maxUses is the largest number of runtimes that a counted token may be for.
const maxUses = 1000

// Invite makes the text of a token for the nodes of a domain that have the key. ID is chosen where it is empty.
func Invite(domain string, file KeyFile, t Token) (text string, made Token, err error) {
	if domain == "" {
		return "", t, errors.New("admit: domain: whose node?")
	}
	if t.Uses < 0 || t.Uses > maxUses {
		return "", t, fmt.Errorf("admit: uses %d: want 1 to %d, or 0 for any number", t.Uses, maxUses)
	}
	if t.Runtime != "" {
		u, err := message.ParseURL(string(t.Runtime))
		if err != nil || u.Runtime() == "" {
			return "", t, fmt.Errorf("admit: runtime %q: want hyperty-runtime://<domain>/<id>", string(t.Runtime))
		}
		t.Runtime, t.Uses = u.Runtime(), 0
	}
	if t.ID == "" {
		t.ID = newID()
	}
	key, err := file.Private()
	if err != nil {
		return "", t, fmt.Errorf("admit: %w", err)
	}
	now := time.Now()
	c := claims{Uses: t.Uses, RegisteredClaims: jwt.RegisteredClaims{ID: t.ID, Subject: string(t.Runtime),
		Audience: jwt.ClaimStrings{strings.ToLower(domain)}, IssuedAt: jwt.NewNumericDate(now)}}
	if !t.Expires.IsZero() {
		c.ExpiresAt = jwt.NewNumericDate(t.Expires)
	}
	text, err = jwt.NewWithClaims(jwt.SigningMethodEdDSA, c).SignedString(key)
	return text, t, err
}

// parseToken checks the text of a token: its form, its signature, its domain and its time.
func parseToken(text, domain string, key ed25519.PublicKey, now time.Time) (Token, error) {
	if len(text) > wire.MaxToken {
		return Token{}, fmt.Errorf("%d bytes, at most %d are read", len(text), wire.MaxToken)
	}
	var c claims
	_, err := jwt.NewParser(jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}), jwt.WithAudience(domain), jwt.WithTimeFunc(func() time.Time { return now }),
		jwt.WithStrictDecoding()).ParseWithClaims(text, &c, func(*jwt.Token) (any, error) { return key, nil })
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return Token{}, fmt.Errorf("it expired at %s", c.ExpiresAt.UTC().Format(time.RFC3339))
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return Token{}, fmt.Errorf("it is for another domain's node, not for %s's", domain)
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return Token{}, errors.New("it is not signed with this node's key")
	case err != nil:
		return Token{}, errors.New("it is damaged, or no token at all")
	case len(c.Audience) != 1 || c.ID == "" || len(c.ID) > 64 || c.Uses < 0 || c.Uses > maxUses:
		return Token{}, errors.New("it says what no token of this node says")
	}
	t := Token{ID: c.ID, Runtime: message.URL(c.Subject).Canonical(), Uses: c.Uses}
	if c.ExpiresAt != nil {
		t.Expires = c.ExpiresAt.Time
	}
	return t, nil
}

// newID is 8 random bytes in hex.
func newID() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
