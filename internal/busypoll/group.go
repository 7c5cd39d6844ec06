package busypoll

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// process is all Waiters of this process, of which one looks for input at a time. It is one for the process because the
// scheduler is, from which that keeps the processor.
var process group

// maxWatched is how many descriptors are looked at: with more, nobody looks.
const maxWatched = 64

const (
	window = time.Millisecond // over which the load is seen, at least
	stream = 16 << 20         // bytes a second: with more, nobody looks
)

type group struct {
	carried atomic.Uint64 // bytes

	mu      sync.Mutex
	all     []*Waiter
	looking bool
	others  []descriptor // of who looks, whose they are

	streams bool      // there was more than stream in the last window
	began   time.Time // the window
	before  uint64    // bytes that had been carried then
}

// Carried counts what this process has read from, and written to, what its Waiters belong to: n bytes more.
func Carried(n int) { process.carried.Add(uint64(max(n, 0))) }

// busy says whether the process carries a stream.
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

// begin lets w look, unless another does, and tells what is looked at besides its own. A descriptor that is closed
// meanwhile, or is another file by then, ends the looking at most.
func (g *group) begin(w *Waiter) (others []descriptor, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.looking || len(g.all) > maxWatched {
		return nil, false
	}
	g.looking = true
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
	g.looking = false
}
