//go:build !unix

package stubhost

import (
	"io/fs"
	"os/exec"
	"syscall"
)

// inode is not known here: size and time must do.
func inode(fs.FileInfo) uint64 { return 0 }

// isRoots is not asked here: no process has a user of its own.
func isRoots(fs.FileInfo) bool { return false }

// attributes are none here. When the host dies the plug-in sees its link end.
func attributes() *syscall.SysProcAttr { return nil }

// waitExit waits until the process is gone. What it has started itself is not known here.
func (r *runner) waitExit(cmd *exec.Cmd) {
	state, _ := cmd.Process.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state, r.proc = state, nil
}

// signal has no effect: no signal but the killing one can be sent here. The plug-in is asked to end over its link.
func (r *runner) signal(syscall.Signal) {}

// kill kills the process and waits until it is gone. It tells whether it was there.
func (r *runner) kill() bool {
	r.killing.Store(true)
	r.mu.Lock()
	was := r.proc != nil
	if was {
		_ = r.proc.Kill()
	}
	r.mu.Unlock()
	if was {
		<-r.exited
	}
	return was
}
