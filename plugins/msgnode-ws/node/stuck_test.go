package node

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/table"
)

// stuckDisk is a bucket of which writes end, but for the first ones, when their time is over. It is its own watcher.
type stuckDisk struct {
	jetstream.KeyValue
	updates chan jetstream.KeyValueEntry
	written uint64
	good    uint64
}

func (d *stuckDisk) Create(ctx context.Context, key string, text []byte, _ ...jetstream.KVCreateOpt) (uint64, error) {
	if d.written == d.good {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	d.written++
	d.updates <- &written{key: key, text: text, revision: d.written}
	return d.written, nil
}

func (d *stuckDisk) Purge(ctx context.Context, _ string, _ ...jetstream.KVDeleteOpt) error {
	<-ctx.Done()
	return ctx.Err()
}

func (d *stuckDisk) WatchAll(context.Context, ...jetstream.WatchOpt) (jetstream.KeyWatcher, error) {
	return d, nil
}
func (d *stuckDisk) Updates() <-chan jetstream.KeyValueEntry { return d.updates }
func (d *stuckDisk) Stop() error                             { return nil }

// written is an entry of a stuckDisk.
type written struct {
	jetstream.KeyValueEntry
	key      string
	text     []byte
	revision uint64
}

func (w *written) Key() string                     { return w.key }
func (w *written) Value() []byte                   { return w.text }
func (w *written) Revision() uint64                { return w.revision }
func (w *written) Operation() jetstream.KeyValueOp { return jetstream.KeyValuePut }

// Where the disk takes no more in the middle of a block, who asked is told so soon: what was granted is given back in the time
// of one write.
func TestBlockOnAStuckDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, c := still(binary)
		n.rates, n.backbone, n.interests = newRates(n.opts.Limits), &backbone.NATS{}, backbone.NewInterests[*conn](nil)
		disk := &stuckDisk{updates: make(chan jetstream.KeyValueEntry), good: 100}
		n.state.Allocations = table.New(disk, table.Options[state.Allocation]{Terms: (*state.Allocation).Terms})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go n.state.Allocations.Follow(ctx, nil)
		began := time.Now()
		_, r := n.grantAll(c, "hyperty", 200, "", "key")
		if r == nil || r.Code != 504 || disk.written != disk.good {
			t.Fatalf("%+v after %d writes", r, disk.written)
		}
		if took := time.Since(began); took > 2*n.opts.Times.State {
			t.Errorf("it took %v, a write has %v", took, n.opts.Times.State)
		}
	})
}
