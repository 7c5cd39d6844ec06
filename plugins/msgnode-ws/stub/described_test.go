package stub

import (
	"encoding/json"
	"testing"
)

// All options that are described to operators are accepted; url and networks are not described, since the runtime sets them.
func TestDescribed(t *testing.T) {
	text := map[string]any{"url": "ws://127.0.0.1:1/protofly"}
	for _, o := range Described() {
		if text[o.Name] = o.Default; o.Name == "url" || o.Name == "networks" {
			t.Errorf("%s is described to operators", o.Name)
		}
	}
	b, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := ParseConfig(b); err != nil || c.CA != "" || c.Token != "" || c.TokenFile != "" || len(text) != 4 {
		t.Errorf("%+v, %v", c, err)
	}
}
