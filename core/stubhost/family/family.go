// Package family keeps track of the processes that a stub host has started, and ends what they leave behind: processes that
// they have started themselves and that go on when they are gone.
package family

import "sync"

// Family is the processes that a host has started and that have not been reaped. Those that they start themselves are
// known by their parents; those that have left their parents by what they were born with: TMPDIR in their environment,
// or, where this process is the reaper, by being its children although it has not started them. The exported fields are set
// before its first use.
type Family struct {
	Reaper bool   // this process is the parent of what has left its own, and starts nothing but the family: see [BecomeReaper]
	Below  string // the folder of all processes' folders
	Before string // that of a host before this one, where it was elsewhere; "" if not

	mu   sync.RWMutex   // held for reading while one is started: meanwhile a child is there that is not in the table
	lock sync.Mutex     // guards the table
	dirs map[int]string // the folder of each, by its number
}

// Start runs start, which starts a process whose folder is dir, and enters that process.
func (f *Family) Start(dir string, start func() (pid int, err error)) error {
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

// Reaped takes out a process that is no more.
func (f *Family) Reaped(pid int) {
	f.lock.Lock()
	defer f.lock.Unlock()
	delete(f.dirs, pid)
}

// known tells whether the host has started a process and not reaped it.
func (f *Family) known(pid int) bool {
	f.lock.Lock()
	defer f.lock.Unlock()
	_, ok := f.dirs[pid]
	return ok
}

// lives tells whether the process with the folder has not been reaped.
func (f *Family) lives(dir string) bool {
	f.lock.Lock()
	defer f.lock.Unlock()
	for _, d := range f.dirs {
		if d == dir {
			return true
		}
	}
	return false
}
