package node

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// The Domain Registry gives an entry back so that its proof still proves it: by address and by user, after a keep-alive,
// with a new proof, and after a restart of the node. Nobody but its runtime writes it.
func TestProofsAreKept(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	n := start(t, Options{Data: data})
	alice, bob := n.join(t, 1), n.join(t, 2)
	u := bob.allocate(`{"value":{"identifier":"bob"}}`)[0]
	_, key := identity(2)
	e := proof.Entry{URL: u, Runtime: bob.runtime, Descriptor: "hyperty-catalogue://example.com/d", User: "user://example.com/bob",
		Resources: []string{"chat <&> \u2028"}, DataSchemes: []string{},
		Handlers: []proof.Handler{{Name: "one", Handler: bob.runtime.Join("p2phandler", "one"), Requester: "hyperty-catalogue://example.com/one"}}}
	now := time.Now()
	first, second := e.Sign(key, now, now.Add(time.Hour)), e.Sign(key, now.Add(time.Minute), now.Add(time.Hour))
	body := func(e proof.Entry, p *proof.EntryProof) string {
		return string(message.Encode(map[string]any{"value": struct {
			proof.Entry
			Status  string            `json:"status"`
			Expires int               `json:"expires"`
			Proof   *proof.EntryProof `json:"proof"`
		}{e, state.Live, 3600, p}}))
	}
	bob.must(message.Create, lookups, body(e, first))
	proved := func(want *proof.EntryProof) {
		t.Helper()
		var byUser map[message.URL]json.RawMessage
		if err := json.Unmarshal([]byte(alice.must(message.Read, lookups, `{"resource":"user://example.com/bob"}`)), &byUser); err != nil {
			t.Fatal(err)
		}
		byURL := alice.must(message.Read, lookups, fmt.Sprintf(`{"resource":"%s"}`, u))
		for _, text := range []json.RawMessage{json.RawMessage(byURL), byUser[u]} {
			got, p, err := proof.ParseEntry(text)
			if err != nil || p == nil || p.Issued != want.Issued {
				t.Fatalf("%s: %v", text, err)
			}
			if err := p.Verify(got); err != nil {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
	proved(first)
	bob.must(message.Update, lookups, fmt.Sprintf(`{"resource":"%s","value":{"status":"live"}}`, u))
	proved(first)
	renewal := string(message.Encode(map[string]any{"resource": u, "value": map[string]any{"status": state.Live, "proof": second}}))
	if code, text := alice.ask(message.Update, lookups, renewal); code != 403 {
		t.Errorf("another's new proof: %d %s", code, text)
	}
	proved(first)
	bob.must(message.Update, lookups, renewal)
	proved(second)
	mine := e
	mine.Runtime = alice.runtime
	for name, body := range map[string]string{"an entry for another's address": body(mine, first), "an entry that names another": body(e, first)} {
		if code, text := alice.ask(message.Create, lookups, body); code != 403 {
			t.Errorf("%s: %d %s", name, code, text)
		}
	}
	if code, text := bob.ask(message.Create, lookups, body(mine, first)); code != 403 {
		t.Errorf("one's own address at another runtime: %d %s", code, text)
	}
	bob.must(message.Update, lookups, fmt.Sprintf(`{"resource":"%s","value":{"status":"live","runtime":"%s","url":"hyperty://example.com/x"}}`, u, alice.runtime))
	proved(second)
	n.stop()
	n = start(t, Options{Data: data})
	alice = n.join(t, 1)
	proved(second)
}
