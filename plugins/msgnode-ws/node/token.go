package node

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// Token says that a runtime may use a node. Its text is a JSON Web Token, signed with Ed25519.
type Token struct {
	ID      string      // by which it can be revoked
	Runtime message.URL // the one that it is for; "": for whoever has it
	Uses    int         // for so many runtimes, the first that come; 0: for any number
	Expires time.Time   // zero: never
}

// claims are a token's contents.
type claims struct {
	jwt.RegisteredClaims
	Uses int `json:"uses,omitempty"`
}

// maxUses is the most runtimes that a token may be for, where they are counted.
const maxUses = 1000

// Invite makes the text of a token for the node that o describes. ID is chosen where it is empty. It works while the node
// runs; the nodes of a domain that have the same key all take the token.
func Invite(o Options, t Token) (text string, made Token, err error) {
	if o.Domain == "" {
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
		t.ID = newSecret()[:16]
	}
	key, err := o.admissionKey().private()
	if err != nil {
		return "", t, fmt.Errorf("admit: %w", err)
	}
	now := time.Now()
	c := claims{Uses: t.Uses, RegisteredClaims: jwt.RegisteredClaims{ID: t.ID, Subject: string(t.Runtime),
		Audience: jwt.ClaimStrings{strings.ToLower(o.Domain)}, IssuedAt: jwt.NewNumericDate(now)}}
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

// keyFile is the file of the key that tokens are signed with.
type keyFile struct {
	name string
	make bool // it is made where it is not there
}

// admissionKey is where the key is.
func (o Options) admissionKey() keyFile {
	if o.Admit.Key != "" || o.Data == "" {
		return keyFile{name: o.Admit.Key}
	}
	return keyFile{filepath.Join(o.Data, "admission-key.pem"), true}
}

const maxKeyFile = 4 << 10

// read gives the key in the file: an ed25519.PrivateKey or an ed25519.PublicKey.
func (f keyFile) read() (any, error) {
	if f.name == "" {
		return nil, errors.New("key: tokens need the file of a key (admit.key), or a data folder to make one in")
	}
	if f.make {
		if err := f.create(); err != nil {
			return nil, err
		}
	}
	info, err := os.Stat(f.name)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	if info.Size() > maxKeyFile {
		return nil, fmt.Errorf("key: %s has %d bytes: that is no key", f.name, info.Size())
	}
	text, err := os.ReadFile(f.name)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("key: %s is not in PEM form", f.name)
	}
	var key any
	if block.Type == "PUBLIC KEY" {
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	} else if key, err = x509.ParsePKCS8PrivateKey(block.Bytes); err == nil && exposed(info) {
		return nil, fmt.Errorf("key: %s may be read by others (mode %v): chmod 600 it, or replace it where others may have read it", f.name, info.Mode().Perm())
	}
	if err != nil {
		return nil, fmt.Errorf("key: %s: %w", f.name, err)
	}
	return key, nil
}

// private is the key to sign with.
func (f keyFile) private() (ed25519.PrivateKey, error) {
	key, err := f.read()
	if err != nil {
		return nil, err
	}
	if k, ok := key.(ed25519.PrivateKey); ok {
		return k, nil
	}
	return nil, fmt.Errorf("key: %s has no Ed25519 private key: tokens are made where that is", f.name)
}

// public is the key to check signatures with.
func (f keyFile) public() (ed25519.PublicKey, error) {
	key, err := f.read()
	if err != nil {
		return nil, err
	}
	switch k := key.(type) {
	case ed25519.PublicKey:
		return k, nil
	case ed25519.PrivateKey:
		return k.Public().(ed25519.PublicKey), nil
	}
	return nil, fmt.Errorf("key: %s has no Ed25519 key", f.name)
}

// create makes the file with a new key, unless it is there. Whoever makes it at the same time gets the same one.
func (f keyFile) create() error {
	if _, err := os.Stat(f.name); !errors.Is(err, fs.ErrNotExist) {
		return nil // read says what is wrong with it
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	folder := filepath.Dir(f.name)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	t, err := os.CreateTemp(folder, ".admission-key-*") // mode 0600
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	defer os.Remove(t.Name())
	_, err = t.Write(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err = errors.Join(err, t.Sync(), t.Close()); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	if err := os.Link(t.Name(), f.name); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("key: %w", err)
	}
	return nil
}
