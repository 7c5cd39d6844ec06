package node

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/protofly/protofly/sdk/message"
)

// A publication costs its sender as much as it takes to pass it to all that listen.
func TestPublicationsCostByListeners(t *testing.T) {
	t.Parallel()
	n := start(t, Options{Limits: Limits{Requests: 20}})
	const room message.URL = "comm://example.com/room/changes"
	for i := range 130 {
		if code, text := n.join(t, i+10).ask(message.Subscribe, "domain://msg-node.example.com/sm", fmt.Sprintf(`{"resources":["%s"]}`, room)); code != 200 {
			t.Fatal(code, text)
		}
	}
	for i, c := range []struct {
		to   message.URL
		some bool
	}{{room, true}, {"comm://example.com/empty/changes", false}} {
		publisher := n.join(t, i+1)
		for k := range 100 {
			publisher.send(message.Message{ID: message.NumberID(uint64(k + 1)), Type: message.Update, From: publisher.runtime, To: c.to, Body: json.RawMessage(`{}`)})
		}
		const last message.URL = "domain://msg-node.elsewhere.org/sm"
		publisher.send(message.Message{ID: message.NumberID(1000), Type: message.Read, From: publisher.runtime, To: last})
		refused := 0
		for m := publisher.message(); m.From != last; m = publisher.message() {
			if r, err := m.Result(); err == nil && r.Code == message.CodeTooMany {
				refused++
			}
		}
		if c.some != (refused > 30) {
			t.Errorf("%s: %d of 100 refused", c.to, refused)
		}
	}
}
