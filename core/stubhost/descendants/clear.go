package descendants

import (
	"context"
	"time"
)

const (
	clearLate  = 200 * time.Millisecond // what Clear may still wait when its ctx has ended
	sweepEvery = 2 * time.Second
)

// Clear kills the orphans of processes that are gone. It waits for their end, for wait at most, and for clearLate at most after
// ctx has ended. It tells whether none is left.
func (f *Tracker) Clear(ctx context.Context, wait time.Duration) bool {
	until, hurried := time.Now().Add(wait), false
	looked := map[int]int{}          // how often it was tried with each process for which sweep could not decide
	for ; ; time.Sleep(clearPause) { // the end of a process that is not a child can only be polled
		if ctx.Err() != nil && !hurried {
			hurried = true
			if soon := time.Now().Add(clearLate); soon.Before(until) {
				until = soon
			}
		}
		left, unread := f.sweep()
		again := left > 0
		for _, pid := range unread {
			looked[pid]++
			again = again || looked[pid] <= rereads
		}
		if !again {
			return true
		}
		if time.Now().After(until) {
			return left == 0
		}
	}
}

// Sweep kills the orphans that have become this process's children, at intervals, until ctx ends. It is for the reaper.
func (f *Tracker) Sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			f.sweepChildren()
		case <-ctx.Done():
			return
		}
	}
}

// Owns tells whether a process of this machine was started by the host, or by such a process. It is true for a process that has
// ended, since its parents are not known any more, and false for every process on systems that do not tell a process's parent.
// An orphan that has changed its environment is found only by the reaper.
func (f *Tracker) Owns(pid int) bool { return f.owns(pid) }
