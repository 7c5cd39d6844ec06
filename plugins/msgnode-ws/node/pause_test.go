package node

import (
	"fmt"
	"strings"
	"testing"

	"github.com/protofly/protofly/sdk/message"
)

// Who is refused since too much was asked for, and is therefore not read from for a while, does not keep others' requests from
// being computed meanwhile.
func TestNobodyPausesInATurn(t *testing.T) {
	n := start(t, Options{Exempt: everyAddress, Limits: Limits{AddressRequests: 100}})
	alice := n.join(t, 1)
	big := strings.Repeat("x", 60<<10)
	for i := range 3 {
		u := alice.allocate(`{"value":{"number":1}}`)[0]
		alice.must(message.Create, registry, entryOf(alice.runtime, u, fmt.Sprintf(`,"user":"user://example.com/u%d","more":%q`, i, big)))
	}
	refused := 0
	for range 20 {
		code, _ := alice.ask(message.Read, registry, `{"criteria":{"scheme":"hyperty"}}`)
		if code != 429 {
			continue
		}
		refused++
		n.turns.mu.Lock() // alice is not read from now
		taken := n.turns.taken
		n.turns.mu.Unlock()
		if taken {
			t.Fatal("the one that was refused has the turn still")
		}
	}
	if refused == 0 {
		t.Error("nothing was refused: the test tests nothing")
	}
}
