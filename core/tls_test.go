package core_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// A node with a certificate of the operator's own authority is reached if that authority is configured, and else not.
func TestNodeWithTLS(t *testing.T) {
	t.Parallel()
	build(t)
	folder := shortDir(t)
	ca, cert, key := certificates(t, folder)
	n := startNode(t, "a.example", "PROTOFLY_NODE_TLS__CERT="+cert, "PROTOFLY_NODE_TLS__KEY="+key)
	if !strings.HasPrefix(n.url, "wss://") {
		t.Fatalf("the node listens at %s", n.url)
	}
	trusting := func(c *core.Config) {
		c.StubConfig = map[string]json.RawMessage{"msgnode-ws": message.Encode(map[string]string{"ca": ca})}
	}
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{n}, change: trusting})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{n}, change: trusting})
	alice, bob := a.register("alice"), b.register("bob")
	l := newLedger(bob)
	for i := range 10 {
		if err := alice.Send(t.Context(), bob.URL(), map[string]int{"n": i + 1}); err != nil {
			t.Fatal(err)
		}
	}
	l.reach(t, 10)

	stranger := startRuntime(t, runtimeOptions{name: "stranger", nodes: []*nodeProcess{n}})
	_, err := stranger.Register(t.Context(), hyperty.Registration{Name: "eve"})
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without the authority's certificate: %v", err)
	}
}

// certificates makes an authority and a certificate of it for home(), as files in folder.
func certificates(t *testing.T, folder string) (ca, cert, key string) {
	t.Helper()
	write := func(name, kind string, der []byte, err error) string {
		t.Helper()
		path := filepath.Join(folder, name)
		if err == nil {
			err = os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	newKey := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	server := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
		IPAddresses: []net.IP{home()}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	authorityKey, serverKey := newKey(), newKey()
	der, err := x509.CreateCertificate(rand.Reader, authority, authority, authorityKey.Public(), authorityKey)
	ca = write("ca.pem", "CERTIFICATE", der, err)
	der, err = x509.CreateCertificate(rand.Reader, server, authority, serverKey.Public(), authorityKey)
	cert = write("cert.pem", "CERTIFICATE", der, err)
	der, err = x509.MarshalPKCS8PrivateKey(serverKey)
	return ca, cert, write("key.pem", "PRIVATE KEY", der, err)
}
