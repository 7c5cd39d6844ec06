// Package rest gives memory back that a process needed while it was busy and does not need any more.
//
// The garbage collector runs when the heap has grown to twice of what is in use. A process that has nothing more to do
// does not get there, and keeps what its last work has left behind: after a thousand connections were set up that is more
// than the connections themselves need. So a process that has become quiet collects once. One that is busy is left alone.
package rest

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	look   = 2 * time.Second // between two looks at what was allocated
	quiet  = 2 << 20         // bytes: who allocates less between two looks is quiet, or less than a sixteenth of the heap
	passes = 3
	worth  = 4 << 20 // bytes: a collection is made for no less, nor for less than a quarter of the heap
)

// Run looks after this process until ctx ends. It is for whoever owns the process: one call in its main.
func Run(ctx context.Context) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	r := resting{collect: collect}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.look(memory())
		}
	}
}

// collect gives back what can be. Pools are emptied by the second collection, and each halves the stacks that are too large.
func collect() {
	for range passes - 1 {
		runtime.GC()
	}
	debug.FreeOSMemory()
}

// memory is how many bytes the process has allocated in its life, and how many its heap has now.
func memory() (allocated, heap uint64) {
	samples := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64(), samples[1].Value.Uint64()
}

// resting is what was seen before.
type resting struct {
	collect         func()
	last, collected uint64 // bytes that had been allocated then
	busy            bool   // since the last collection
}

// look collects where the process has become quiet.
func (r *resting) look(allocated, heap uint64) {
	switch since := allocated - r.collected; {
	case allocated-r.last >= max(quiet, heap/16):
		r.busy = true
	case r.busy && since >= max(worth, heap/4):
		r.collect()
		r.busy, r.collected = false, allocated
	}
	r.last = allocated
}
