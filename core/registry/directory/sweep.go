package directory

import (
	"time"

	"github.com/protofly/protofly/core/registry/table"
)

// sweepShards is how many shards of the tables one sweep looks at.
const sweepShards = 16

// SweepPause is the time between two sweeps.
func (d *Directory) SweepPause() time.Duration {
	return d.opts.CacheTime * sweepShards / table.Shards / 2
}

// Sweep drops what has expired, in the next part of the tables each time. A runtime without known addresses is dropped if
// mayGo returns true. The writer calls it.
func (d *Directory) Sweep(now time.Time, mayGo func(*Runtime) bool) {
	from, to := d.swept, d.swept+sweepShards
	d.addresses.Each(from, to, func(in *table.Item[Address]) bool {
		if a := &in.Value; a.until < seconds(now) && !a.Runtime.Way().Live() {
			d.Forget(in.Key())
		}
		return true
	})
	d.runtimes.Each(from, to, func(in *table.Item[*Runtime]) bool {
		if rt := in.Value; rt.addresses == 0 && mayGo(rt) {
			d.runtimes.Delete(rt.url)
		}
		return true
	})
	d.swept = to % table.Shards
}
