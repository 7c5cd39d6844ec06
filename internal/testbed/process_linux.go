package testbed

import (
	"os/exec"
	"runtime"
	"syscall"
)

// dieWithParent makes the kernel kill the child when this process dies, even if this process is killed. The kernel kills it when
// the thread that starts the child ends, so the calling goroutine keeps its thread until its end.
func dieWithParent(cmd *exec.Cmd) {
	runtime.LockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}
