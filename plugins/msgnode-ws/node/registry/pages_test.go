package registry

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// page is one page of what is found for bob; more: others may follow.
type page struct {
	Value map[message.URL]json.RawMessage
	Page  int
	More  bool
}

func pageFor(t *testing.T, n *Registry, more string) (p page, code int) {
	t.Helper()
	_, c := still(t)
	answer, r := n.look(c, message.Message{ID: message.NumberID(1), Type: message.Read, From: c.Runtime(), To: "domain://registry.example.com",
		Body: json.RawMessage(`{"resource":"user://example.com/bob"` + more + `}`)})
	if r != nil {
		return page{}, r.Code
	}
	if err := answer.Decode(&p); err != nil {
		t.Fatal(err)
	}
	return p, 200
}

// All entries are found, page by page, each once, while none comes or goes.
func TestPages(t *testing.T) {
	n, _ := still(t)
	crowd(n, 7, 5, 3, time.Now().Add(-time.Hour))
	for _, criteria := range []string{"", `,"criteria":{"scheme":"hyperty"}`} {
		seen := map[message.URL]int{}
		for number := 1; ; number++ {
			p, code := pageFor(t, n, fmt.Sprintf(`,"page":%d,"size":10%s`, number, criteria))
			if code == 404 && number == 12 { // the last one was full
				break
			}
			if code != 200 || p.Page != number || len(p.Value) > 10 {
				t.Fatalf("page %d: code %d, page %d, %d entries", number, code, p.Page, len(p.Value))
			}
			for u := range p.Value {
				seen[u]++
			}
			if !p.More {
				break
			}
		}
		for u, times := range seen {
			if times != 1 {
				t.Errorf("%s is on %d pages", u, times)
			}
		}
		if len(seen) != 7*5*3 {
			t.Errorf("%d entries are found %s", len(seen), criteria)
		}
	}
	if p, code := pageFor(t, n, ""); code != 200 || p.Page != 0 || len(p.Value) != 105 || p.More {
		t.Errorf("without a page: code %d, page %d, %d entries", code, p.Page, len(p.Value))
	}
	for more, want := range map[string]int{`,"page":-1`: 400, `,"size":-1`: 400, `,"page":100000`: 413, `,"page":9007199254740993,"size":1000000`: 413, `,"page":"x"`: 400,
		`,"page":3,"size":100`: 404} {
		if _, code := pageFor(t, n, more); code != want {
			t.Errorf("%s: %d, want %d", more, code, want)
		}
	}
}
