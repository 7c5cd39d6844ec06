package entries

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

const plain message.URL = "hyperty-runtime://example.com/reference"

// handlers reads an entry of bob, and says what Handlers it has.
func handlers(t *testing.T, entry any) []directory.Handler {
	t.Helper()
	list, err := Parse(bob, message.Encode(entry))
	if err != nil || len(list) != 1 {
		t.Fatalf("%d entries, %v", len(list), err)
	}
	return list[0].P2PHandlers
}

// An unsigned entry offers the Handlers that it lists, or the one of the reference's form, and only components of its runtime.
func TestHandlersOfAnEntry(t *testing.T) {
	alpha := directory.Handler{Name: "alpha", URL: plain.Join("p2phandler", "alpha")}
	entry := func(more map[string]any) map[string]any {
		more["url"], more["runtime"] = bob, plain
		return more
	}
	for name, c := range map[string]struct {
		entry map[string]any
		want  []directory.Handler
	}{
		"listed":                            {entry(map[string]any{"p2pHandlers": []directory.Handler{alpha}}), []directory.Handler{alpha}},
		"the reference's":                   {entry(map[string]any{"p2pHandler": alpha.URL, "p2pRequester": "hyperty-catalogue://example.com/.well-known/protostub/alpha"}), []directory.Handler{alpha}},
		"a requester of one segment":        {entry(map[string]any{"p2pHandler": alpha.URL, "p2pRequester": "alpha"}), []directory.Handler{alpha}},
		"both: the listed ones":             {entry(map[string]any{"p2pHandlers": []directory.Handler{alpha}, "p2pHandler": plain.Join("x"), "p2pRequester": "x/beta"}), []directory.Handler{alpha}},
		"a handler without a requester":     {entry(map[string]any{"p2pHandler": alpha.URL}), nil},
		"a requester without a handler":     {entry(map[string]any{"p2pRequester": "x/alpha"}), nil},
		"a requester without a name":        {entry(map[string]any{"p2pHandler": alpha.URL, "p2pRequester": "x/"}), nil},
		"another runtime's":                 {entry(map[string]any{"p2pHandlers": []directory.Handler{{Name: "alpha", URL: "hyperty-runtime://example.com/other/p2phandler/alpha"}, alpha}}), []directory.Handler{alpha}},
		"no runtime's":                      {entry(map[string]any{"p2pHandlers": []directory.Handler{{Name: "alpha", URL: "hyperty://example.com/alpha"}, {Name: "alpha", URL: "x"}}}), nil},
		"without a name":                    {entry(map[string]any{"p2pHandlers": []directory.Handler{{URL: alpha.URL}}}), nil},
		"with a name that is too long":      {entry(map[string]any{"p2pHandlers": []directory.Handler{{Name: strings.Repeat("x", 65), URL: alpha.URL}}}), nil},
		"with the longest name that can be": {entry(map[string]any{"p2pHandlers": []directory.Handler{{Name: strings.Repeat("x", 64), URL: alpha.URL}}}), []directory.Handler{{Name: strings.Repeat("x", 64), URL: alpha.URL}}},
	} {
		if got := handlers(t, c.entry); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	var many []directory.Handler
	for i := range 2 * maxHandlers {
		many = append(many, directory.Handler{Name: fmt.Sprint(i), URL: plain.Join("p2phandler", fmt.Sprint(i))})
	}
	if got := handlers(t, entry(map[string]any{"p2pHandlers": many})); !slices.Equal(got, many[:maxHandlers]) {
		t.Errorf("%d of %d", len(got), len(many))
	}
}

// Of a signed entry only the Handlers count that are signed with it.
func TestHandlersOfASignedEntry(t *testing.T) {
	s := runtime(1)
	mine := proof.Handler{Name: "alpha", Handler: s.url.Join("p2phandler", "alpha")}
	e := proof.Entry{URL: bob, Runtime: s.url, Resources: []string{}, DataSchemes: []string{},
		Handlers: []proof.Handler{mine, {Name: "beta", Handler: plain.Join("p2phandler", "beta")}}}
	got := handlers(t, struct {
		proof.Entry
		P2PHandler   message.URL       `json:"p2pHandler"`
		P2PRequester string            `json:"p2pRequester"`
		Proof        *proof.EntryProof `json:"proof"`
	}{e, s.url.Join("p2phandler", "gamma"), "x/gamma", e.Sign(s.key, noon, noon.Add(time.Hour))})
	if want := []directory.Handler{{Name: "alpha", URL: mine.Handler}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
