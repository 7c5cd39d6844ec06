// Package descendants keeps track of the processes that a stub host has started, and kills their orphans: processes that
// they have started themselves and that go on when they are gone.
package descendants

import (
	"sync"
	"time"
)

const (
	clearPause = 2 * time.Millisecond // between two tries
	rereads    = 10                   // how often a process without an environment is tried again: it may be inside execve
)

// Tracker knows the processes that a host has started and that have not been reaped. It finds the processes that these have
// started by their parents. An orphan, whose parent has exited, it finds by TMPDIR in the orphan's environment, which names the
// folder of the plug-in's process; or, where this process is the reaper, since the orphan is its child although it has not
// started it. The exported fields are set before its first use.
type Tracker struct {
	Reaper  bool   // orphans become children of this process, and it starts no processes but the host's: see [BecomeReaper]
	Root    string // the folder that has the folders of all processes
	OldRoot string // the Root of the host that ran before this one, if it was another folder; else ""

	environ func(pid int) ([]byte, error) // reads a process's environment; nil: from /proc

	mu   sync.RWMutex   // held for reading during a start, when the new child is not in the table yet
	lock sync.Mutex     // guards the table
	dirs map[int]string // the folder of each process, by process ID
}

// Start calls start, which starts a process whose folder is dir, and adds that process.
func (f *Tracker) Start(dir string, start func() (pid int, err error)) error {
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

// Reaped removes a process that was reaped.
func (f *Tracker) Reaped(pid int) {
	f.lock.Lock()
	defer f.lock.Unlock()
	delete(f.dirs, pid)
}

// known tells whether the host has started a process and not reaped it.
func (f *Tracker) known(pid int) bool {
	f.lock.Lock()
	defer f.lock.Unlock()
	_, ok := f.dirs[pid]
	return ok
}

// running tells whether the process with this folder has not been reaped.
func (f *Tracker) running(dir string) bool {
	f.lock.Lock()
	defer f.lock.Unlock()
	for _, d := range f.dirs {
		if d == dir {
			return true
		}
	}
	return false
}
