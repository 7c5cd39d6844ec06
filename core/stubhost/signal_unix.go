//go:build unix

package stubhost

import (
	"io/fs"
	"os/exec"
	"syscall"
)

// inode is what tells a file from another of the same size and time.
func inode(info fs.FileInfo) uint64 {
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(sys.Ino)
	}
	return 0
}

// isRoots tells whether root owns the file.
func isRoots(info fs.FileInfo) bool {
	sys, ok := info.Sys().(*syscall.Stat_t)
	return ok && sys.Uid == 0
}

// waitExit waits until the process is gone, and kills what it has left in its group.
func (r *runner) waitExit(cmd *exec.Cmd) {
	killRest := awaitExit(cmd.Process.Pid)
	killRest()
	state, _ := cmd.Process.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state, r.proc = state, nil
}

// signal sends s to the process, if it is there.
func (r *runner) signal(s syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.proc != nil {
		_ = r.proc.Signal(s)
	}
}

// kill kills the process and those it has started, and waits until it is gone. It tells whether it was there.
func (r *runner) kill() bool {
	r.killing.Store(true)
	r.mu.Lock()
	was := r.proc != nil
	if was {
		_ = r.proc.Kill() // its group follows when it is reaped
	}
	r.mu.Unlock()
	if was {
		<-r.exited
	}
	return was
}
