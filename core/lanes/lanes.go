// Package lanes runs work that must not hold up whoever brings it.
package lanes

import (
	"context"
	"sync"

	"github.com/protofly/protofly/sdk/message"
)

// Lanes are work that must not hold up whoever brings it: in order for each key, side by side for different keys,
// bounded. A lane's goroutine lives as long as there is work. Begin has to be set.
type Lanes struct {
	Begin func(func(ctx context.Context)) // runs a goroutine that somebody waits for; its ctx ends when they are to end

	mu    sync.Mutex
	by    map[message.URL]*lane // maxLanes; none stays without work
	bytes int
}

type lane struct {
	jobs  []job
	bytes int // of these and of the one that runs
}

type job struct {
	f    func(ctx context.Context)
	size int
}

const (
	maxLanes      = 1024
	maxLane       = 256      // jobs that wait in one
	maxLaneBytes  = 4 << 20  // in one
	maxLanesBytes = 64 << 20 // in all
	jobOverhead   = 512      // bytes that a job counts for beside its size
)

// Do has f run after what was brought before for the key. It does not wait; false: there is no room, f does not run.
func (l *Lanes) Do(key message.URL, size int, f func(ctx context.Context)) bool {
	size += jobOverhead
	l.mu.Lock()
	defer l.mu.Unlock()
	in := l.by[key]
	switch {
	case l.bytes+size > maxLanesBytes, in == nil && len(l.by) >= maxLanes:
		return false
	case in != nil && (len(in.jobs) >= maxLane || in.bytes+size > maxLaneBytes):
		return false
	}
	running := in != nil
	if !running {
		in = &lane{}
		if l.by == nil {
			l.by = map[message.URL]*lane{}
		}
		l.by[key] = in
	}
	in.jobs = append(in.jobs, job{f, size})
	in.bytes += size
	l.bytes += size
	if !running {
		l.Begin(func(ctx context.Context) { l.run(ctx, key, in) })
	}
	return true
}

// run does what waits in a lane until there is nothing more.
func (l *Lanes) run(ctx context.Context, key message.URL, in *lane) {
	for {
		l.mu.Lock()
		if len(in.jobs) == 0 || ctx.Err() != nil {
			l.bytes -= in.bytes
			delete(l.by, key)
			l.mu.Unlock()
			return
		}
		next := in.jobs[0]
		in.jobs[0] = job{}
		in.jobs = in.jobs[1:]
		l.mu.Unlock()
		next.f(ctx)
		l.mu.Lock()
		in.bytes -= next.size
		l.bytes -= next.size
		l.mu.Unlock()
	}
}
