package state

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/table"
)

// Rows that end by their time while a copy is being filled do not keep it from being complete: the server had counted them. It is
// so after a restart of the node, where the server removes what ended meanwhile just when the node begins to follow.
func TestRowsThatEndWhileTheCopyIsFilled(t *testing.T) {
	t.Parallel()
	nats, err := backbone.Start(backbone.Options{Domain: "example.com", Data: t.TempDir(), Log: hclog.NewNullLogger(), Lost: func(string) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer nats.Close()
	kv, err := nats.Bucket(t.Context(), "things", BucketOptions(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	long := fmt.Appendf(nil, "%q", strings.Repeat("x", 40<<10))
	const rows, writers = 600, 20 // more than the server and the client hold for a copy that takes nothing
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := w; i < rows; i += writers {
				if _, err := kv.Create(t.Context(), fmt.Sprint("row", i), long); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if _, err := kv.Create(t.Context(), "last", []byte(`"x"`)); err != nil {
		t.Fatal(err)
	}
	if err := kv.Purge(t.Context(), "last", jetstream.PurgeTTL(time.Second)); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	gone := func() bool {
		status, err := kv.Status(t.Context())
		return err == nil && status.Values() == rows
	}
	copied := table.New(kv, table.Options[string]{Name: "things", Terms: func(*string) []string { return nil }, Put: func(*string) {
		once.Do(func() {
			for deadline := time.Now().Add(20 * time.Second); !gone(); time.Sleep(20 * time.Millisecond) { // there is no event to wait for
				if time.Now().After(deadline) {
					t.Error("the mark of the deleted row stays")
					return
				}
			}
		})
	}})
	s := &State{bounds: Options{NATS: nats, Log: hclog.NewNullLogger()}}
	s.ctx, s.cancel = t.Context(), func() {}
	if err := fill(t.Context(), s, copied); err != nil {
		t.Fatal(err)
	}
	if n, _ := copied.Size(); n != rows {
		t.Errorf("%d rows", n)
	}
}
