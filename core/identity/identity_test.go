package identity_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOpenKeepsTheKeyAndTheURL(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first, err := identity.Open(dir, "example.com")
	if err != nil {
		t.Fatal(err)
	}
	again, err := identity.Open(dir, "example.com")
	if err != nil {
		t.Fatal(err)
	}
	if first.URL() != again.URL() || !strings.HasPrefix(string(first.URL()), "hyperty-runtime://example.com/") {
		t.Errorf("%s, after a restart %s", first.URL(), again.URL())
	}
	if id := strings.TrimPrefix(first.URL().Path(), "/"); id != proof.RuntimeID(first.PublicKey()) || len(id) != 32 {
		t.Errorf("id %q is not derived from the key", id)
	}
	other, err := identity.Open(t.TempDir(), "example.com")
	if err != nil {
		t.Fatal(err)
	}
	if other.URL() == first.URL() {
		t.Error("two runtimes have one URL")
	}
}

func TestOpenRefusesBadKeys(t *testing.T) {
	open := func(t *testing.T, text string, mode os.FileMode) error {
		dir := t.TempDir()
		path := filepath.Join(dir, identity.KeyFile)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		_, err := identity.Open(dir, "example.com")
		return err
	}
	if err := open(t, "nonsense", 0o600); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged key: %v", err)
	}
	if err := open(t, "nonsense", 0o644); runtime.GOOS != "windows" && (err == nil || !strings.Contains(err.Error(), "chmod 600")) {
		t.Errorf("a key that others may read: %v", err)
	}
	if _, err := identity.Open(t.TempDir(), "exa mple"); err == nil {
		t.Error("a domain with a space was taken")
	}
}

func TestSign(t *testing.T) {
	me, err := identity.Open(t.TempDir(), "example.com")
	if err != nil {
		t.Fatal(err)
	}
	b := bus.New(bus.Options{Runtime: me.URL()})
	defer b.Close()
	defer me.Serve(b)()
	ask := func(from message.URL, params ...string) message.Message {
		t.Helper()
		m, err := b.Request(context.Background(), message.Message{Type: message.Execute, From: from, To: me.URL().Join("identity"),
			Body: message.Encode(map[string]any{"method": "sign", "params": params})})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	challenge := []byte("challenge")
	stub := me.URL().Join("protostub", "1")
	m := ask(stub, "message-node", "example.org", base64.StdEncoding.EncodeToString(challenge))
	raw, err := m.OK()
	if err != nil {
		t.Fatal(err)
	}
	var answer struct{ Key, Signature []byte }
	if err := json.Unmarshal(raw, &answer); err != nil {
		t.Fatal(err)
	}
	if !ed25519.Verify(answer.Key, proof.MessageNode("example.org", me.URL(), challenge), answer.Signature) {
		t.Error("the signature does not verify")
	}
	if ed25519.Verify(answer.Key, proof.MessageNode("example.com", me.URL(), challenge), answer.Signature) {
		t.Error("the signature verifies for another node's domain")
	}
	for name, m := range map[string]message.Message{
		"a stranger":       ask("hyperty://example.com/mallory", "message-node", "example.org", "Y2hhbGxlbmdl"),
		"another purpose":  ask(stub, "anything", "example.org", "Y2hhbGxlbmdl"),
		"not base64":       ask(stub, "message-node", "example.org", "%%%"),
		"a long challenge": ask(stub, "message-node", "example.org", strings.Repeat("QUFB", 100)),
	} {
		if _, err := m.OK(); err == nil {
			t.Errorf("%s got a signature", name)
		}
	}
}
