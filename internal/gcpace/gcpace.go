// Package gcpace paces the garbage collector of a process: the collector runs seldom while the process is busy, and once when the
// process has become idle.
//
// By default the collector runs when the heap has grown to twice the size that is in use. A process that only carries messages
// uses a few MiB, so that its collector would run dozens of times a second. So while the process allocates quickly, gcpace
// raises GOGC, unless the operator has set it.
//
// An idle process does not allocate enough for the next run of the collector, and keeps the garbage of its last work:
// after a thousand connections were set up that is more than the connections themselves need. So gcpace runs the collector
// when the process has become idle.
package gcpace

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	interval     = 2 * time.Second // between two calls of check
	rateInterval = interval / 4    // between two calls of checkRate
	lowRate      = 2 << 20         // bytes: a process that allocates less in an interval, or less than 1/16 of its heap, is idle
	passes       = 3               // collections in a row
	minGarbage   = 4 << 20         // bytes: the least for which a collection is worth it, beside a quarter of the heap

	highRate    = 16 << 20 // bytes: for a process that allocates more in an interval GOGC is raised
	usual, most = 100, 800 // percent of the heap in use: runtime/debug.SetGCPercent
)

// Room is how many bytes a process that carries messages usually may allocate before the next collection.
const Room = 32 << 20

// Run paces the collector of this process until ctx ends. A program calls it once, in its main. room is
// [Room], or 0 if memory matters more than time: then GOGC stays as it is. A process that keeps many objects for long, such as
// tens of thousands of connections, needs less memory for them if it collects often.
func Run(ctx context.Context, room uint64) {
	tick := time.NewTicker(rateInterval)
	defer tick.Stop()
	r := pacer{collect: collect, room: room, percent: usual, grant: func(int) {}}
	if os.Getenv("GOGC") == "" && room > 0 {
		r.grant = func(percent int) { debug.SetGCPercent(percent) }
		defer r.setPercent(usual)
	}
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if allocated, heap, used := memory(); n%int(interval/rateInterval) == 0 {
				r.check(allocated, heap, used)
			} else {
				r.checkRate(allocated, used)
			}
		}
	}
}

// collect frees as much memory as possible. The second collection empties pools, and each collection halves stacks that are too
// large.
func collect() {
	for range passes - 1 {
		runtime.GC()
	}
	debug.FreeOSMemory()
}

// memory returns how many bytes the process has allocated since its start, the size of its heap, and how much of it was in
// use after the last collection.
func memory() (allocated, heap, used uint64) {
	samples := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64(), samples[1].Value.Uint64(), samples[2].Value.Uint64()
}

// pacer decides when to collect, and how much may be allocated before the next collection.
type pacer struct {
	collect         func()
	grant           func(percent int)
	room            uint64
	percent         int
	last, collected uint64 // bytes allocated since the start, at the last check and at the last collection by the pacer
	busy            bool   // the process was busy since that collection
}

// check runs the collector if the process has become idle, and sets GOGC for the rate at which the process allocates.
func (r *pacer) check(allocated, heap, used uint64) {
	if r.checkRate(allocated, used); allocated-r.last < highRate {
		r.setPercent(usual)
	}
	switch since := allocated - r.collected; {
	case allocated-r.last >= max(lowRate, heap/16):
		r.busy = true
	case r.busy && since >= max(minGarbage, heap/4):
		r.collect()
		r.busy, r.collected = false, allocated
	}
	r.last = allocated
}

// checkRate raises GOGC at once if the process allocates much.
func (r *pacer) checkRate(allocated, used uint64) {
	if allocated-r.last >= highRate {
		r.setPercent(int(min(most, max(usual, 100*r.room/max(used, 1)))))
	}
}

// setPercent sets GOGC. It ignores small changes.
func (r *pacer) setPercent(percent int) {
	if percent == usual && r.percent != usual || percent > r.percent+r.percent/4 || percent < r.percent-r.percent/4 {
		r.percent = percent
		r.grant(percent)
	}
}
