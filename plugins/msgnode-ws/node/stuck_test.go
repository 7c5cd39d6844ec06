package node

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
)

// stuckDisk is a bucket of which writes end, but for the first ones, when their time is over.
type stuckDisk struct {
	jetstream.KeyValue
	table *table[allocation]
	good  uint64
}

func (d *stuckDisk) Create(ctx context.Context, key string, text []byte, _ ...jetstream.KVCreateOpt) (uint64, error) {
	if d.table.applied == d.good {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	var a allocation
	if err := json.Unmarshal(text, &a); err != nil {
		return 0, err
	}
	d.table.applied++
	d.table.set(key, &a, len(text), d.table.applied)
	return d.table.applied, nil
}

func (d *stuckDisk) Purge(ctx context.Context, _ string, _ ...jetstream.KVDeleteOpt) error {
	<-ctx.Done()
	return ctx.Err()
}

// Where the disk takes no more in the middle of a block, who asked is told so soon: what was granted is given back in the time
// of one write.
func TestBlockOnAStuckDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, c := still(binary)
		n.rates, n.backbone, n.interests = newRates(n.opts.Limits), &backbone.NATS{}, backbone.NewInterests[*conn](nil)
		n.allocations.kv = &stuckDisk{table: n.allocations, good: 100}
		began := time.Now()
		_, r := n.grantAll(c, "hyperty", 200, "", "key")
		if r == nil || r.code != 504 {
			t.Fatalf("%+v", r)
		}
		if took := time.Since(began); took > 2*n.opts.Times.State {
			t.Errorf("it took %v, a write has %v", took, n.opts.Times.State)
		}
	})
}
