package node

import (
	"strings"
	"testing"

	"github.com/protofly/protofly/sdk/message"
)

// A data folder belongs to one node: a second node gets an error and changes nothing, and the folder is free again as soon as
// the first node has closed.
func TestDataFolderIsOneNodes(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	first := start(t, Options{Data: folder})
	alice := first.join(t, 1)
	u := alice.allocate(`{"value":{"identifier":"alice"}}`)[0]
	second, err := New(t.Context(), Options{Domain: domain, Data: folder})
	if err == nil {
		second.Close()
		t.Fatal("a second node took the folder")
	}
	for _, part := range []string{folder, "in use by another node", "a folder of its own"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
	if owner := first.state.Owner(u); owner != alice.runtime {
		t.Errorf("%s is %q's after that", u, owner)
	}
	alice.must(message.Create, allocator, `{"value":{"number":1}}`)
	first.stop()
	if again := start(t, Options{Data: folder}); again.state.Owner(u) != alice.runtime {
		t.Error("the folder's next node does not know what the first one gave")
	}
}
