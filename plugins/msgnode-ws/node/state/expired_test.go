package state

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/table"
)

// Rows that end by their time while a copy is being filled do not keep it from being complete: the server had listed them. It is
// so after a restart of the node, where the server removes what ended meanwhile just when the node begins to follow.
func TestLongRowsThatEndWhileTheCopyIsFilled(t *testing.T) {
	longtest.Skip(t)
	nats, err := backbone.Start(backbone.Options{Domain: "example.com", Data: t.TempDir(), Log: hclog.NewNullLogger(), Lost: func(string) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer nats.Close()
	kv, err := nats.Bucket(t.Context(), "things", BucketOptions(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	const rows, writers = 1500, 40
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := w; i < rows; i += writers {
				key := fmt.Sprint("row", i)
				_, err := kv.Create(t.Context(), key, []byte(`"x"`))
				if err == nil && i%2 == 0 {
					err = kv.Purge(t.Context(), key, jetstream.PurgeTTL(2*time.Second))
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for ended := false; !ended; {
		status, err := kv.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ended = status.Values() == rows/2
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		s := &State{bounds: Options{NATS: nats, Log: hclog.NewNullLogger()}}
		s.ctx, s.cancel = context.WithCancel(ctx)
		copied := table.New(kv, table.Options[string]{Name: "things", Terms: func(*string) []string { return nil }})
		if err := fill(ctx, s, copied); err != nil {
			t.Fatal(err)
		}
		s.Close()
		cancel()
		if n, _ := copied.Size(); n != rows/2 {
			t.Errorf("%d rows", n)
		}
	}
}
