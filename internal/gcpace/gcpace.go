// Package gcpace has the garbage collector of a process follow what the process does: seldom while it is busy, once when it
// has become quiet.
//
// The collector runs when the heap has grown to twice of what is in use. That is little for a process that carries what
// others made: it uses a few MiB, and its collector would run dozens of times a second for messages that pass through. So
// while it allocates quickly it may be given room before the next run, unless GOGC is set, which is the operator's word.
//
// A process that has nothing more to do does not get to the next run at all, and keeps what its last work has left behind:
// after a thousand connections were set up that is more than the connections themselves need. So a process that has become
// quiet collects once.
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
	look   = 2 * time.Second // between two looks at what was allocated
	glance = look / 4        // between two at whether it is a lot
	quiet  = 2 << 20         // bytes: who allocates less between two looks is quiet, or less than a sixteenth of the heap
	passes = 3
	worth  = 4 << 20 // bytes: a collection is made for no less, nor for less than a quarter of the heap

	hurry       = 16 << 20 // bytes: who allocates more between two looks is given room
	usual, most = 100, 800 // percent of the heap in use: runtime/debug.SetGCPercent
)

// Room is how many bytes a process that carries messages may usually allocate before the next collection.
const Room = 32 << 20

// Run looks after this process until ctx ends. It is for whoever owns the process: one call in its main. room is for
// [Room], or 0 where memory is dearer than time: a process that keeps much for long, such as tens of thousands of
// connections, lays it out more densely when it collects often.
func Run(ctx context.Context, room uint64) {
	tick := time.NewTicker(glance)
	defer tick.Stop()
	r := resting{collect: collect, room: room, percent: usual, grant: func(int) {}}
	if os.Getenv("GOGC") == "" && room > 0 {
		r.grant = func(percent int) { debug.SetGCPercent(percent) }
		defer r.give(usual)
	}
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if allocated, heap, used := memory(); n%int(look/glance) == 0 {
				r.look(allocated, heap, used)
			} else {
				r.glance(allocated, used)
			}
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

// memory is how many bytes the process has allocated in its life, how many its heap has now, and how many of them were in
// use at the last collection.
func memory() (allocated, heap, used uint64) {
	samples := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64(), samples[1].Value.Uint64(), samples[2].Value.Uint64()
}

// resting is what was seen before.
type resting struct {
	collect         func()
	grant           func(percent int)
	room            uint64
	percent         int
	last, collected uint64 // bytes that had been allocated then
	busy            bool   // since the last collection
}

// look collects where the process has become quiet, and says how seldom the collector runs.
func (r *resting) look(allocated, heap, used uint64) {
	if r.glance(allocated, used); allocated-r.last < hurry {
		r.give(usual)
	}
	switch since := allocated - r.collected; {
	case allocated-r.last >= max(quiet, heap/16):
		r.busy = true
	case r.busy && since >= max(worth, heap/4):
		r.collect()
		r.busy, r.collected = false, allocated
	}
	r.last = allocated
}

// glance gives room at once where much is allocated.
func (r *resting) glance(allocated, used uint64) {
	if allocated-r.last >= hurry {
		r.give(int(min(most, max(usual, 100*r.room/max(used, 1)))))
	}
}

// give sets how seldom the collector runs. What is nearly as it is is left.
func (r *resting) give(percent int) {
	if percent == usual && r.percent != usual || percent > r.percent+r.percent/4 || percent < r.percent-r.percent/4 {
		r.percent = percent
		r.grant(percent)
	}
}
