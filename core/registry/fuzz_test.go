package registry

import (
	"encoding/json"
	"testing"

	"github.com/protofly/protofly/core/registry/changes"
	"github.com/protofly/protofly/sdk/message"
)

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
			for _, u := range c.URLs {
				if _, err := message.ParseURL(string(u)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if urls, err := changes.ParseSubscription(&m); err == nil && (len(urls) == 0 || len(urls) > 16) {
			t.Fatal(urls)
		}
	})
}
