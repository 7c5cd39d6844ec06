package runtimekey_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/internal/runtimekey"
	"github.com/protofly/protofly/sdk/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCertificate(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	public := key.Public().(ed25519.PublicKey)
	me := message.URL("hyperty-runtime://example.com/" + runtimekey.ID(public))
	session := bytes.Repeat([]byte{7}, 32)
	good := runtimekey.Certify(key, me, session)
	for name, err := range map[string]error{
		"it":                      runtimekey.VerifyCertificate(me, session, good),
		"the scheme's other form": runtimekey.VerifyCertificate("runtime://example.com/"+message.URL(runtimekey.ID(public)), session, good),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	bit := func(i int) []byte { b := bytes.Clone(good); b[i] ^= 1; return b }
	for name, err := range map[string]error{
		"another session key":  runtimekey.VerifyCertificate(me, bytes.Repeat([]byte{8}, 32), good),
		"another domain":       runtimekey.VerifyCertificate("hyperty-runtime://example.org/"+message.URL(runtimekey.ID(public)), session, good),
		"another runtime":      runtimekey.VerifyCertificate("hyperty-runtime://example.com/"+message.URL(runtimekey.ID(other.Public().(ed25519.PublicKey))), session, good),
		"another's signature":  runtimekey.VerifyCertificate(me, session, append(bytes.Clone(public), runtimekey.Certify(other, me, session)[32:]...)),
		"another's key":        runtimekey.VerifyCertificate(me, session, runtimekey.Certify(other, me, session)),
		"an altered key":       runtimekey.VerifyCertificate(me, session, bit(0)),
		"an altered signature": runtimekey.VerifyCertificate(me, session, bit(40)),
		"cut off":              runtimekey.VerifyCertificate(me, session, good[:95]),
		"too long":             runtimekey.VerifyCertificate(me, session, append(bytes.Clone(good), 0)),
		"nothing":              runtimekey.VerifyCertificate(me, session, nil),
		"no runtime":           runtimekey.VerifyCertificate("hyperty://example.com/x", session, good),
	} {
		if !errors.Is(err, runtimekey.ErrCertificate) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
