package allocation

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/conn"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/limits"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/rates"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/table"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/writes"
)

// stuckDisk is a bucket whose writes, except the first ones, fail when their time is over. It is its own watcher.
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

// noRouter leads messages to nobody.
type noRouter struct{ Router }

func (noRouter) EndOthers(context.Context, *state.Allocation) {}

// If the disk fills up in the middle of a block, the requester gets an error soon: what was granted is given back in the time
// of one write.
func TestBlockOnAStuckDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, rows := limits.Defaults(), state.InMemory("example.com")
		all := rates.New(l)
		w := &writes.Writes{Rates: all, NATS: &backbone.NATS{}, Log: hclog.NewNullLogger()}
		conns := conn.NewSet(t.Context(), conn.Options{})
		c := routing.NewClient(conns.New(quota.Source{}, conn.Binary), rates.NewSpending(t.Context(), all, quota.Source{}, 1), nil)
		c.SetRuntime("hyperty-runtime://example.com/alice")
		disk := &stuckDisk{updates: make(chan jetstream.KeyValueEntry), good: 100}
		rows.Allocations = table.New(disk, table.Options[state.Allocation]{Terms: (*state.Allocation).Terms})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go rows.Allocations.Follow(ctx, nil)
		began := time.Now()
		_, r := New("example.com", l, rows, w, noRouter{}, w.Log).grantAll(c, "hyperty", 200, "", "key")
		if r == nil || r.Code != 504 || disk.written != disk.good {
			t.Fatalf("%+v after %d writes", r, disk.written)
		}
		if took := time.Since(began); took > 2*limits.DefaultTimes().State {
			t.Errorf("it took %v, a write has %v", took, limits.DefaultTimes().State)
		}
	})
}
