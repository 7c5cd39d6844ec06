package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/protofly/protofly/internal/cheat"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const domain = "example.com"

func hostile(t *testing.T, percent int, node string) (*relay, cheat.Options) {
	t.Helper()
	dir := t.TempDir()
	o := cheat.Options{Seed: 1, Percent: percent, Always: true, Record: filepath.Join(dir, "record"), Report: filepath.Join(dir, "report"),
		Names: []string{"hyperty://example.com/alice", "hyperty://example.com/bob"}}
	c, err := cheat.New(o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRelay(c, node, "hyperty-runtime://example.com/accomplice")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.end()
		r.wait()
		_ = c.Close()
	})
	return r, o
}

// aNode is an honest node that sends the packets to each stub that has proved its key.
func aNode(t *testing.T, packets ...[]byte) (url string) {
	t.Helper()
	challenge := wire.NewChallenge(domain)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{wire.Subprotocol}})
		if err != nil {
			return
		}
		defer ws.CloseNow()
		write := func(b []byte) { _ = ws.Write(r.Context(), websocket.MessageBinary, b) }
		write(wire.AppendHandshake(nil, wire.KindChallenge, challenge))
		_, packet, err := ws.Read(r.Context())
		if err != nil {
			return
		}
		_, body, _, _ := wire.Next(packet)
		var p wire.Proof
		if err := wire.ParseHandshake(body, &p); err != nil || p.Check(challenge) != nil {
			return
		}
		write(wire.AppendHandshake(nil, wire.KindWelcome, wire.Welcome{}))
		for _, p := range packets {
			write(p)
		}
		_, _, _ = ws.Read(r.Context())
	}))
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

// stub connects to the relay as a runtime with a key, and returns what comes after the welcome until it has seen enough.
func stub(t *testing.T, url string, enough func(kind wire.Kind, body []byte) bool) message.URL {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	ws.SetReadLimit(4 * wire.MaxPacket)
	public, key, _ := ed25519.GenerateKey(nil)
	runtime := message.URL("hyperty-runtime://" + domain + "/" + proof.RuntimeID(public))
	for {
		_, packet, err := ws.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for len(packet) > 0 {
			kind, body, rest, err := wire.Next(packet)
			if err != nil {
				t.Fatal(err)
			}
			packet = rest
			switch kind {
			case wire.KindChallenge:
				var c wire.Challenge
				if err := wire.ParseHandshake(body, &c); err != nil {
					t.Fatal(err)
				}
				p := wire.Proof{Runtime: runtime, Key: public, Signature: ed25519.Sign(key, proof.MessageNode(domain, runtime, c.Challenge))}
				if err := ws.Write(ctx, websocket.MessageBinary, wire.AppendHandshake(nil, wire.KindProof, p)); err != nil {
					t.Fatal(err)
				}
			case wire.KindWelcome:
			default:
				if enough(kind, body) {
					return runtime
				}
			}
		}
	}
}

func serve(t *testing.T, r *relay) string {
	t.Helper()
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	t.Cleanup(r.end) // first
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

// frames are packets as sessions have them: first steps of a handshake, and sealed ones.
func frames(n int) (packets [][]byte) {
	peer := message.URL("hyperty-runtime://example.com/zzz")
	for i := range n {
		f := append([]byte{2, 2}, bytes.Repeat([]byte{byte(i + 1)}, 200)...)
		if i%5 == 0 {
			f = append(appendHead(nil, 2, kindHello, uint64(i+1), 0), append([]byte{stepFirst}, bytes.Repeat([]byte{7}, 40)...)...)
		}
		packets = append(packets, wire.AppendData(nil, peer, f))
	}
	return append(packets, wire.AppendGrease(nil))
}

// Stubs connect through it to the node, and with no chance to cheat it is honest.
func TestHonest(t *testing.T) {
	sent := frames(50)
	r, o := hostile(t, 0, aNode(t, sent...))
	var came [][]byte
	stub(t, serve(t, r), func(kind wire.Kind, body []byte) bool {
		came = append(came, wire.Append(nil, kind, body))
		return len(came) == len(sent)
	})
	for i := range sent {
		if !bytes.Equal(came[i], sent[i]) {
			t.Fatalf("packet %d is %x, want %x", i, came[i], sent[i])
		}
	}
	if report, err := cheat.ReadReport(o.Report); err != nil || report.Total() != 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// With every chance to cheat, it does so in every way that needs no second victim, and sends only frames that can be read.
func TestCheats(t *testing.T) {
	r, o := hostile(t, 100, aNode(t, frames(2000)...))
	stub(t, serve(t, r), func(kind wire.Kind, body []byte) bool {
		switch kind {
		case wire.KindData:
			if _, _, err := wire.ParseData(body); err != nil {
				t.Error(err)
			}
		case wire.KindMessage:
			if m, err := wire.ParseMessage(body); err != nil || m.Type != message.Update {
				t.Errorf("%+v, %v", m, err)
			}
		default:
			return true
		}
		return false
	})
	r.end()
	r.wait()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	report, err := cheat.ReadReport(o.Report)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"alter", "drop", "replay", "inject", "forge from", "wrong peer", "ask for keys"} {
		if report.Cheats[kind] == 0 {
			t.Errorf("no %s in %+v", kind, report)
		}
	}
}

// An entry is forged in every way; an object without a runtime is not an entry.
func TestEntries(t *testing.T) {
	r, _ := hostile(t, 100, "")
	c := &conn{r: r, runtime: "hyperty-runtime://example.com/me"}
	ask := message.Message{Type: message.Read, From: "hyperty-runtime://example.com/me/registry", To: message.DomainRegistryAddress(domain)}
	entry := map[string]any{"url": "hyperty://example.com/bob", "runtime": "hyperty-runtime://example.com/bobs", "proof": map[string]string{"key": "k"}}
	answer := ask.Respond(message.CodeOK, entry)
	for range 200 {
		forged, ok := c.entry(answer.Body)
		if !ok {
			continue
		}
		var got struct{ Value struct{ URL, Runtime string } }
		if err := json.Unmarshal(forged, &got); err != nil || got.Value.URL != "hyperty://example.com/bob" || got.Value.Runtime == "" {
			t.Fatalf("%s, %v", forged, err)
		}
		if bytes.Equal(forged, answer.Body) {
			t.Fatalf("not forged: %s", forged)
		}
	}
	refused := ask.Refuse(message.CodeNotFound, "nobody")
	if forged, ok := c.entry(refused.Body); ok {
		t.Errorf("%s", forged)
	}
}
