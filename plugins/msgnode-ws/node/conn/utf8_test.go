package conn

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/protofly/protofly/sdk/message"
)

func FuzzAsText(f *testing.F) {
	f.Add([]byte("{\"value\":\"a\xffb\"}"), "\"\xff\"")
	f.Add([]byte("{\"value\":\"\xed\xa0\x80\"}"), "1")
	f.Fuzz(func(t *testing.T, body []byte, id string) {
		m := message.Message{Type: message.Create, From: "runtime://example.com/r-alice", To: "runtime://example.com/r-bob", Body: body}
		m.ID, _ = message.ParseID([]byte(id))
		got, err := message.ParseBinary(m.AppendBinary(nil))
		if err != nil {
			return
		}
		text, err := got.MarshalJSON()
		if err != nil {
			return
		}
		if text = asText(text); !utf8.Valid(text) || !json.Valid(text) {
			t.Fatalf("a browser cannot read %q", text)
		}
	})
}
