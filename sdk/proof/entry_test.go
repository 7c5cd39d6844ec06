package proof_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

var entryKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

func entryOf(key ed25519.PrivateKey) proof.Entry {
	runtime := message.URL("hyperty-runtime://example.com/" + proof.RuntimeID(key.Public().(ed25519.PublicKey)))
	return proof.Entry{URL: "hyperty://example.com/bob", Runtime: runtime, Descriptor: "hyperty-catalogue://example.com/d",
		User: "user://example.com/bob", Name: "name", Schema: "hyperty-catalogue://example.com/s", Reporter: "hyperty://example.com/r",
		Resources: []string{"chat", "bad\xfftext"}, DataSchemes: []string{"comm"},
		Handlers: []proof.Handler{{Name: "alpha", Handler: runtime.Join("p2phandler", "alpha"), Requester: "hyperty-catalogue://example.com/alpha"}}}
}

func TestEntry(t *testing.T) {
	now := time.Now()
	e := entryOf(entryKey)
	p := e.Sign(entryKey, now, now.Add(time.Hour))
	whole := struct {
		proof.Entry
		Status string            `json:"status"`
		Proof  *proof.EntryProof `json:"proof"`
	}{e, "live", p}
	text := message.Encode(whole)
	for name, text := range map[string]string{
		"as it was written":  string(text),
		"as a node gives it": strings.NewReplacer(`"url"`, `"hypertyID"`, `"user"`, `"userID"`, `"live"`, `"disconnected"`).Replace(string(text)),
	} {
		got, gotProof, err := proof.ParseEntry(json.RawMessage(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := gotProof.Verify(got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, none, err := proof.ParseEntry(json.RawMessage(`{"url":"hyperty://a.b/c","runtime":"runtime://a.b/r"}`)); err != nil || none != nil {
		t.Errorf("without a proof: %v %v", none, err)
	}
	for _, bad := range []string{``, `[]`, `{}`, `{"url":"hyperty://a.b/c"}`, `{"url":"hyperty://a.b/c","runtime":"hyperty://a.b/c"}`,
		`{"url":"x","runtime":"runtime://a.b/r"}`, `{"url":"hyperty://a.b/c","runtime":"runtime://a.b/r","proof":7}`,
		`{"url":"hyperty://a.b/c","runtime":"runtime://a.b/r","proof":{"key":"%"}}`,
		`{"name":"` + strings.Repeat("x", proof.MaxEntry) + `"}`} {
		if _, _, err := proof.ParseEntry(json.RawMessage(bad)); !errors.Is(err, message.ErrMalformed) {
			t.Errorf("%.60s: %v", bad, err)
		}
	}
}

// Nothing of an entry can be changed, nor moved from one field to the next.
func TestEntryAltered(t *testing.T) {
	now := time.Now()
	e := entryOf(entryKey)
	p := e.Sign(entryKey, now, now.Add(time.Hour))
	e.Resources[1] = "bad\ufffdtext"
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, ed25519.SeedSize))
	if err := p.Verify(e); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*proof.Entry, *proof.EntryProof){
		"url":     func(e *proof.Entry, _ *proof.EntryProof) { e.URL = "hyperty://example.com/bo" },
		"runtime": func(e *proof.Entry, _ *proof.EntryProof) { e.Runtime = entryOf(other).Runtime },
		"runtime's domain": func(e *proof.Entry, _ *proof.EntryProof) {
			e.Runtime = "hyperty-runtime://example.org" + message.URL(e.Runtime.Path())
		},
		"descriptor":  func(e *proof.Entry, _ *proof.EntryProof) { e.Descriptor = "" },
		"user":        func(e *proof.Entry, _ *proof.EntryProof) { e.User = "user://example.com/eve" },
		"name":        func(e *proof.Entry, _ *proof.EntryProof) { e.Name = "names" },
		"schema":      func(e *proof.Entry, _ *proof.EntryProof) { e.Schema += "x" },
		"reporter":    func(e *proof.Entry, _ *proof.EntryProof) { e.Reporter = "hyperty://example.com/eve" },
		"resources":   func(e *proof.Entry, _ *proof.EntryProof) { e.Resources = e.Resources[:1] },
		"dataSchemes": func(e *proof.Entry, _ *proof.EntryProof) { e.DataSchemes = append(e.DataSchemes, "ctxt") },
		"between the lists": func(e *proof.Entry, _ *proof.EntryProof) {
			e.Resources, e.DataSchemes = []string{"chat"}, []string{"bad\ufffdtext", "comm"}
		},
		"a handler's name":  func(e *proof.Entry, _ *proof.EntryProof) { e.Handlers[0].Name = "beta" },
		"a handler":         func(e *proof.Entry, _ *proof.EntryProof) { e.Handlers[0].Handler += "2" },
		"a requester":       func(e *proof.Entry, _ *proof.EntryProof) { e.Handlers[0].Requester += "2" },
		"no handlers":       func(e *proof.Entry, _ *proof.EntryProof) { e.Handlers = nil },
		"issued":            func(_ *proof.Entry, p *proof.EntryProof) { p.Issued++ },
		"expires":           func(_ *proof.Entry, p *proof.EntryProof) { p.Expires++ },
		"key":               func(_ *proof.Entry, p *proof.EntryProof) { p.Key = other.Public().(ed25519.PublicKey) },
		"no key":            func(_ *proof.Entry, p *proof.EntryProof) { p.Key = nil },
		"signature":         func(_ *proof.Entry, p *proof.EntryProof) { p.Signature[9]++ },
		"no signature":      func(_ *proof.Entry, p *proof.EntryProof) { p.Signature = nil },
		"by another":        func(e *proof.Entry, p *proof.EntryProof) { *p = *e.Sign(other, now, now.Add(time.Hour)) },
		"holds too long":    func(e *proof.Entry, p *proof.EntryProof) { *p = *e.Sign(entryKey, now, now.Add(8*24*time.Hour)) },
		"ends before it is": func(e *proof.Entry, p *proof.EntryProof) { *p = *e.Sign(entryKey, now, now.Add(-time.Second)) },
		"of before all times": func(e *proof.Entry, p *proof.EntryProof) {
			*p = *e.Sign(entryKey, time.UnixMilli(0), time.UnixMilli(1000))
		},
	} {
		changed, changedProof := entryOf(entryKey), *p
		changed.Resources[1] = "bad\ufffdtext"
		changedProof.Signature = bytes.Clone(p.Signature)
		change(&changed, &changedProof)
		if err := changedProof.Verify(changed); !errors.Is(err, proof.ErrEntry) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEntryCurrent(t *testing.T) {
	now := time.Now()
	p := entryOf(entryKey).Sign(entryKey, now, now.Add(time.Hour))
	for after, ok := range map[time.Duration]bool{-25 * time.Hour: false, -23 * time.Hour: true, 0: true, 24 * time.Hour: true, 26 * time.Hour: false} {
		if err := p.Current(now.Add(after)); (err == nil) != ok || err != nil && !errors.Is(err, proof.ErrEntry) {
			t.Errorf("after %v: %v", after, err)
		}
	}
}

// FuzzEntry: whatever a node answers, reading and verifying it ends; and what verifies is what was signed.
func FuzzEntry(f *testing.F) {
	now := time.UnixMilli(1_700_000_000_000)
	e := entryOf(entryKey)
	e.Resources[1] = "bad\ufffdtext"
	p := e.Sign(entryKey, now, now.Add(time.Hour))
	good := message.Encode(struct {
		proof.Entry
		Proof *proof.EntryProof `json:"proof"`
	}{e, p})
	f.Add([]byte(good))
	f.Add([]byte(`{"hypertyID":"hyperty://a.b/c","runtime":"runtime://a.b/r","proof":{"key":"","signature":null,"issued":-1,"expires":9e18}}`))
	f.Add([]byte(`{"url":"hyperty://a.b/c","runtime":"runtime://a.b/r","resources":[null],"p2pHandlers":[{}],"proof":null}`))
	want := string(message.Encode(e))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, gotProof, err := proof.ParseEntry(text)
		if err != nil || gotProof == nil || gotProof.Verify(got) != nil || !bytes.Equal(gotProof.Key, p.Key) {
			return
		}
		got.URL, got.Runtime = got.URL.Canonical(), got.Runtime.Canonical()
		for _, l := range []*[]string{&got.Resources, &got.DataSchemes} {
			if *l == nil {
				*l = []string{}
			}
		}
		if have := string(message.Encode(got)); have != want {
			t.Fatalf("verified\n%s\nsigned\n%s", have, want)
		}
		_ = gotProof.Current(now)
	})
}
