package entries

import (
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
		list, err := Parse(key, value)
		if err != nil || len(list) > maxEntries {
			if len(list) > 0 {
				t.Fatalf("%d entries with error %v", len(list), err)
			}
			return
		}
		for _, e := range list {
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
