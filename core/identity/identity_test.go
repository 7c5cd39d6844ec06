package identity_test

import (
	"bytes"
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
	"github.com/protofly/protofly/sdk"
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

// stubsOf are stubs of a runtime, one of each role.
func stubsOf(me message.URL) map[message.URL]identity.Stub {
	return map[message.URL]identity.Stub{
		me.Join("protostub", "1"):    {Role: sdk.RoleNode, Domain: "example.org"},
		me.Join("p2prequester", "1"): {Role: sdk.RoleRequester, Remote: "hyperty-runtime://example.com/peer"},
		me.Join("p2phandler", "x"):   {Role: sdk.RoleHandler},
	}
}

// signer is a served identity; ask requests a signature.
func signer(t *testing.T) (me *identity.Identity, ask func(from message.URL, params ...string) message.Message) {
	t.Helper()
	me, err := identity.Open(t.TempDir(), "example.com")
	if err != nil {
		t.Fatal(err)
	}
	b := bus.New(bus.Options{Runtime: me.URL()})
	t.Cleanup(b.Close)
	stubs := stubsOf(me.URL())
	t.Cleanup(me.Serve(b, func(url message.URL) (identity.Stub, bool) {
		s, ok := stubs[url]
		return s, ok
	}))
	return me, func(from message.URL, params ...string) message.Message {
		t.Helper()
		m, err := b.Request(context.Background(), message.Message{Type: message.Execute, From: from, To: me.URL().Join("identity"),
			Body: message.Encode(map[string]any{"method": "sign", "params": params})})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
}

// signed is the answer to a request for a signature.
type signed struct{ Key, Signature []byte }

func signature(t *testing.T, m message.Message) (s signed) {
	t.Helper()
	raw, err := m.OK()
	if err == nil {
		err = json.Unmarshal(raw, &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSign(t *testing.T) {
	me, ask := signer(t)
	challenge := []byte("challenge")
	stub := me.URL().Join("protostub", "1")
	answer := signature(t, ask(stub, "message-node", "example.org", base64.StdEncoding.EncodeToString(challenge)))
	if !ed25519.Verify(answer.Key, proof.MessageNode("example.org", me.URL(), challenge), answer.Signature) {
		t.Error("the signature does not verify")
	}
	if ed25519.Verify(answer.Key, proof.MessageNode("example.com", me.URL(), challenge), answer.Signature) {
		t.Error("the signature verifies for another node's domain")
	}
	for name, m := range map[string]message.Message{
		"a stranger":                ask("hyperty://example.com/mallory", "message-node", "example.org", "Y2hhbGxlbmdl"),
		"the runtime's own address": ask(me.URL(), "message-node", "example.org", "Y2hhbGxlbmdl"),
		"a stub that is not there":  ask(me.URL().Join("protostub", "2"), "message-node", "example.org", "Y2hhbGxlbmdl"),
		"a part of a stub":          ask(stub.Join("x"), "message-node", "example.org", "Y2hhbGxlbmdl"),
		"another node's stub":       ask(stub, "message-node", "example.com", "Y2hhbGxlbmdl"),
		"a Requester":               ask(me.URL().Join("p2prequester", "1"), "message-node", "example.org", "Y2hhbGxlbmdl"),
		"a Handler":                 ask(me.URL().Join("p2phandler", "x"), "message-node", "example.org", "Y2hhbGxlbmdl"),
		"another purpose":           ask(stub, "anything", "example.org", "Y2hhbGxlbmdl"),
		"not base64":                ask(stub, "message-node", "example.org", "%%%"),
		"a long challenge":          ask(stub, "message-node", "example.org", strings.Repeat("QUFB", 100)),
	} {
		if _, err := m.OK(); err == nil {
			t.Errorf("%s got a signature", name)
		}
	}
}

func TestSignP2P(t *testing.T) {
	me, ask := signer(t)
	requester, handler, node := me.URL().Join("p2prequester", "1"), me.URL().Join("p2phandler", "x"), me.URL().Join("protostub", "1")
	const peer, other = "hyperty-runtime://example.com/peer", "hyperty-runtime://example.com/other"
	digest := bytes.Repeat([]byte{7}, proof.DigestSize)
	text := base64.StdEncoding.EncodeToString(digest)
	for _, c := range []struct {
		from message.URL
		peer string
		part proof.Part
	}{
		{requester, peer, proof.Offer}, {requester, peer, proof.Channel},
		{handler, peer, proof.Answer}, {handler, other, proof.Answer}, {handler, other, proof.Channel},
	} {
		answer := signature(t, ask(c.from, "p2p", c.peer, string(c.part), text))
		verify := func(part proof.Part, signer, peer message.URL, requester bool) error {
			return proof.VerifyP2P(part, signer, peer, requester, digest, answer.Key, answer.Signature)
		}
		if err := verify(c.part, me.URL(), message.URL(c.peer), c.from == requester); err != nil {
			t.Errorf("%s of %s: %v", c.part, c.from, err)
		}
		if verify(c.part, me.URL(), message.URL(c.peer), c.from != requester) == nil {
			t.Errorf("%s of %s is also the other side's", c.part, c.from)
		}
	}
	for name, m := range map[string]message.Message{
		"an application":              ask("hyperty://example.com/mallory", "p2p", peer, "channel", text),
		"a Message Node's stub":       ask(node, "p2p", peer, "channel", text),
		"the registry":                ask(me.URL().Join("registry"), "p2p", peer, "channel", text),
		"a stub that is not there":    ask(me.URL().Join("p2prequester", "2"), "p2p", peer, "offer", text),
		"a Requester of another peer": ask(requester, "p2p", other, "offer", text),
		"an answer of a Requester":    ask(requester, "p2p", peer, "answer", text),
		"an offer of a Handler":       ask(handler, "p2p", peer, "offer", text),
		"another part":                ask(handler, "p2p", peer, "session key", text),
		"no part":                     ask(handler, "p2p", peer, "", text),
		"itself as peer":              ask(handler, "p2p", string(me.URL()), "answer", text),
		"a component as peer":         ask(handler, "p2p", peer+"/sm", "answer", text),
		"no address":                  ask(handler, "p2p", "peer", "answer", text),
		"a short digest":              ask(handler, "p2p", peer, "answer", text[:40]),
		"no digest":                   ask(handler, "p2p", peer, "answer", ""),
		"not base64":                  ask(handler, "p2p", peer, "answer", "%%%"),
		"too few params":              ask(handler, "p2p", peer, "answer"),
	} {
		if _, err := m.OK(); err == nil {
			t.Errorf("%s got a signature", name)
		}
	}
}

// A key is whole, or refused; one of an earlier version is accepted and sealed.
func TestDamagedKey(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, identity.KeyFile)
	me, err := identity.Open(dir, "example.com")
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(name string, text []byte) {
		t.Helper()
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := identity.Open(dir, "example.com"); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Fatalf("%s: %v", name, err)
		}
	}
	refused("NULs", make([]byte, len(whole)))
	for n := range whole {
		refused("cut off", whole[:n])
	}
	flipped := bytes.Replace(whole, []byte("\n-----BEGIN"), []byte("\n\n----BEGIN"), 1)
	refused("another byte", flipped)
	older := whole[bytes.IndexByte(whole, '\n')+1:]
	if err := os.WriteFile(path, older, 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := identity.Open(dir, "example.com")
	if err != nil || again.URL() != me.URL() {
		t.Fatalf("%v, %v", again, err)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, whole) {
		t.Errorf("it was not sealed: %q %v", now, err)
	}
}

// The data folder must be such that no other user can put a key into it.
func TestOpenRefusesAnOpenFolder(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no mode bits")
	}
	dir := t.TempDir()
	if _, err := identity.Open(dir, "example.com"); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o777, 0o770, 0o777 | os.ModeSticky} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := identity.Open(dir, "example.com"); err == nil || !strings.Contains(err.Error(), "chmod 700") {
			t.Errorf("%v: %v", mode, err)
		}
	}
}
