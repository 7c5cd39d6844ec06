package registry

import (
	"encoding/json"
	"testing"

	"github.com/protofly/protofly/sdk/message"
)

func FuzzEntries(f *testing.F) {
	for _, seed := range []string{
		`{"url":"hyperty://example.com/bob","runtime":"hyperty-runtime://example.com/b","status":"live","p2pHandlers":[{"name":"alpha","handler":"hyperty-runtime://example.com/b/p2phandler/alpha"}]}`,
		`{"hypertyID":"hyperty://example.com/bob","runtime":"runtime://example.com/b","p2pHandler":"runtime://example.com/b/p2phandler/1","p2pRequester":"hyperty-catalogue://catalogue.example.com/.well-known/protocolstub/P2PRequester"}`,
		`[{"runtime":"hyperty-runtime://example.com/b"}, 7, null, {"runtime":{}}]`,
		`{"hyperty://example.com/bob":{"runtime":"hyperty-runtime://example.com/b"},"hyperty://example.com/x":{"runtime":"hyperty-runtime://example.com/c"}}`,
		`{"runtime":"hyperty-runtime://example.com/b","p2pHandlers":[{"name":"alpha","handler":"hyperty-runtime://example.com/c/p2phandler/alpha"}]}`,
		`{"url":"hyperty://example.com/bob","runtime":"hyperty-runtime://example.com/b","proof":{"key":"AAAA","signature":"","issued":1,"expires":2},"p2pHandlers":[{"name":"alpha","handler":"hyperty-runtime://example.com/b/p2phandler/alpha"}]}`,
		`{"hypertyID":"hyperty://example.com/bob","runtime":"runtime://example.com/b","proof":{"key":7},"resources":5}`,
		`null`, ``, `"x"`, `{}`, `[]`, `{"runtime":null}`,
	} {
		f.Add([]byte(seed))
	}
	const key = message.URL("hyperty://example.com/bob")
	f.Fuzz(func(t *testing.T, value []byte) {
		entries, err := parseEntries(key, value)
		if err != nil || len(entries) > maxEntries {
			if len(entries) > 0 {
				t.Fatalf("%d entries with error %v", len(entries), err)
			}
			return
		}
		for _, e := range entries {
			if e.Runtime == "" || e.Runtime.Runtime() != e.Runtime || len(e.P2PHandlers) > maxHandlers {
				t.Fatalf("%+v", e)
			}
			if e.proof != nil && e.proof.Verify(e.signed) == nil {
				t.Fatalf("%s proves itself", value)
			}
			for _, h := range e.P2PHandlers {
				if h.Name == "" || h.URL.Runtime() != e.Runtime {
					t.Fatalf("%+v in an entry of %s", h, e.Runtime)
				}
			}
		}
	})
}

func FuzzBodies(f *testing.F) {
	for _, seed := range []string{
		`{"value":"live","resource":"hyperty-runtime://example.com/b","desc":"x"}`, `{"value":"create"}`,
		`{"value":"live","resource":"hyperty://example.com/b"}`, `{"value":7}`, `{"value":"live","desc":{}}`,
		`{"operation":"add","value":["comm://example.com/1",["comm://example.com/2"]],"version":7}`,
		`{"operation":"multiply","value":[],"version":-1}`, `{"code":200,"value":"comm://example.com/1"}`,
		`{"subscribe":["hyperty-runtime://example.com/a/registry/changes"]}`, `{"resources":[[["x"]]]}`, `{}`, `[]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m := message.Message{Type: message.Update, From: "hyperty-runtime://example.com/b", To: "hyperty-runtime://example.com/a", Body: json.RawMessage(body)}
		if ev, err := parseStatus(&m); err == nil {
			if ev.Value == 0 || len(ev.Desc) > maxDesc || ev.Resource != "" && ev.Resource.Runtime() != ev.Resource {
				t.Fatalf("%+v", ev)
			}
		}
		if c, err := parseChange(&m); err == nil {
			for _, u := range c.urls {
				if _, err := message.ParseURL(string(u)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if urls, err := parseSubscription(&m); err == nil && (len(urls) == 0 || len(urls) > 16) {
			t.Fatal(urls)
		}
	})
}
