package family

import (
	"context"
	"time"
)

const (
	clearLate  = 200 * time.Millisecond // for what a process has left behind to be ended, where Clear is in a hurry
	clearPause = 2 * time.Millisecond
	sweepEvery = 2 * time.Second
)

// Clear ends what processes that are gone have left behind, and waits so long for that, or less once hurry has ended. It
// tells whether nothing is left.
func (f *Family) Clear(hurry context.Context, wait time.Duration) bool {
	until, hurried := time.Now().Add(wait), false
	for ; ; time.Sleep(clearPause) { // no event tells of a stranger's end
		if hurry.Err() != nil && !hurried {
			hurried = true
			if soon := time.Now().Add(clearLate); soon.Before(until) {
				until = soon
			}
		}
		left := f.sweep()
		if left == 0 {
			return true
		}
		if time.Now().After(until) {
			return false
		}
	}
}

// Sweep ends now and then what has left its parents and does not say whose it is, until ctx ends. Only the reaper has such.
func (f *Family) Sweep(ctx context.Context) {
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

// Owns tells whether a process of this system is one of the family, or was started by one. It is true also for a process
// that is gone, of which nobody can tell; and never where the system does not tell who a process's parent is. A process that
// has left its parents and hides where it comes from is known only to the reaper.
func (f *Family) Owns(pid int) bool { return f.owns(pid) }
