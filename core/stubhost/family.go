package stubhost

import (
	"context"
	"sync"
	"time"
)

// family is the processes that a host has started and that have not been reaped. Those that they start themselves are
// known by their parents; those that have left their parents by what they were born with: TMPDIR in their environment,
// or, where this process is the reaper (Options.Reaper), by being its children although it has not started them.
type family struct {
	reaper bool
	below  string // the folder of all processes' folders
	before string // that of a host before this one, where it was elsewhere; "" if not

	mu   sync.RWMutex   // held for reading while one is started: meanwhile a child is there that is not in the table
	lock sync.Mutex     // guards the table
	dirs map[int]string // the folder of each, by its number
}

const (
	clearLate  = 200 * time.Millisecond // for what a process has left behind to be ended, where Close has no time left
	clearPause = 2 * time.Millisecond
	sweepEvery = 2 * time.Second
)

// start runs f, which starts a process, and enters that.
func (f *family) start(dir string, start func() (pid int, err error)) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	pid, err := start()
	if err != nil {
		return err
	}
	f.lock.Lock()
	defer f.lock.Unlock()
	if f.dirs == nil {
		f.dirs = map[int]string{}
	}
	f.dirs[pid] = dir
	return nil
}

// reaped takes out a process that is no more.
func (f *family) reaped(pid int) {
	f.lock.Lock()
	defer f.lock.Unlock()
	delete(f.dirs, pid)
}

// known tells whether the host has started a process and not reaped it.
func (f *family) known(pid int) bool {
	f.lock.Lock()
	defer f.lock.Unlock()
	_, ok := f.dirs[pid]
	return ok
}

// lives tells whether the process with the folder has not been reaped.
func (f *family) lives(dir string) bool {
	f.lock.Lock()
	defer f.lock.Unlock()
	for _, d := range f.dirs {
		if d == dir {
			return true
		}
	}
	return false
}

// clear ends what a process that is gone has left behind, within the time, or less once hurry has ended. It tells whether
// nothing is left.
func (f *family) clear(hurry context.Context, wait time.Duration) bool {
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

// sweeping is a goroutine of the host: it ends now and then what has left its parents and does not say whose it is.
func (h *Host) sweeping() {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			h.family.sweepChildren()
		case <-h.ctx.Done():
			return
		}
	}
}

// Owns tells whether a process of this system is a plug-in's, or was started by one. It is true also for a process that
// is gone, of which nobody can tell; and never where the system does not tell who a process's parent is. A process that
// has left its parents and hides where it comes from is known only with Options.Reaper.
func (h *Host) Owns(pid int) bool { return h.family.owns(pid) }
