package testbed

import (
	"os/exec"
	"runtime"
	"syscall"
)

// dieWithParent has the kernel end the child when this process dies, also when it is killed. The kernel watches the
// thread that starts the child, so the calling goroutine keeps its thread for good.
func dieWithParent(cmd *exec.Cmd) {
	runtime.LockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}
