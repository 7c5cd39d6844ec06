//go:build unix

package process

import (
	"os"
	"os/exec"
	"syscall"
)

// waitExit waits until the process has exited, and kills the other processes of its group.
func waitExit(cmd *exec.Cmd) *os.ProcessState {
	killRest := awaitExit(cmd.Process.Pid)
	killRest()
	state, _ := cmd.Process.Wait()
	return state
}

// terminate asks the process to end.
func terminate(p *os.Process) { _ = p.Signal(syscall.SIGTERM) }
