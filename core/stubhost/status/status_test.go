package status

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/protofly/protofly/core/stubhost/failure"
	"github.com/protofly/protofly/sdk/message"
)

func FuzzShorten(f *testing.F) {
	f.Add([]byte(`{"value":"live","desc":"` + strings.Repeat("x", 2*failure.MaxText) + `"}`))
	f.Add([]byte(`{"desc":7}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		m := message.Message{Body: body}
		var before, after Body
		known := m.Decode(&before)
		Shorten(&m)
		if known != nil {
			return
		}
		if err := m.Decode(&after); err != nil || after.Value != before.Value || after.Resource != before.Resource {
			t.Errorf("%q became %q", body, m.Body)
		}
		if !json.Valid(m.Body) && json.Valid(body) || len(after.Desc) > failure.MaxText*3+3 {
			t.Errorf("%q became %q", body, m.Body)
		}
	})
}
