package busypoll

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// process has all Waiters of this process. One of them polls at a time. There is one group for the process, as there is one
// scheduler.
var process group

// maxWatched is the largest number of descriptors to watch. With more of them no Waiter polls.
const maxWatched = 64

const (
	window = time.Millisecond // the shortest time over which the rate is measured
	stream = 16 << 20         // bytes a second; with more no Waiter polls
)

type group struct {
	carried atomic.Uint64 // bytes

	mu      sync.Mutex
	all     []*Waiter
	polling bool
	others  []descriptor // watched by the Waiter that polls

	streams bool      // the rate in the last window was more than stream
	began   time.Time // the begin of the window
	before  uint64    // carried at that time
}

// Carried counts n more bytes that this process has read from, or written to, the files of its Waiters.
func Carried(n int) { process.carried.Add(uint64(max(n, 0))) }

// busy tells whether the process carries a stream.
func (g *group) busy(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if length := now.Sub(g.began); length >= window {
		n := g.carried.Load()
		g.streams = float64(n-g.before) > stream*length.Seconds()
		g.began, g.before = now, n
	}
	return g.streams
}

func (g *group) join(w *Waiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all = append(g.all, w)
}

func (g *group) leave(w *Waiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all = slices.DeleteFunc(g.all, func(o *Waiter) bool { return o == w })
}

// begin lets w poll, unless another Waiter does, and returns the descriptors that w has to watch. If one of them is closed during
// the poll, or becomes another file, the worst that happens is that the poll ends.
func (g *group) begin(w *Waiter) (others []descriptor, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.polling || len(g.all) > maxWatched {
		return nil, false
	}
	g.polling = true
	g.others = g.others[:0]
	for _, o := range g.all {
		if o != w {
			g.others = append(g.others, watch(o.fd))
		}
	}
	return g.others, true
}

func (g *group) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.polling = false
}
