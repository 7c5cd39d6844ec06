//go:build !unix

package process

import (
	"os"
	"os/exec"
	"syscall"
)

// attributes returns none on this system. When the host dies the plug-in notices that its link ends.
func attributes() *syscall.SysProcAttr { return nil }

// waitExit waits until the process has exited. This system does not tell what it has started itself.
func waitExit(cmd *exec.Cmd) *os.ProcessState {
	state, _ := cmd.Process.Wait()
	return state
}

// terminate does nothing: this system has no signal but the one that kills. The plug-in is asked to end over its link.
func terminate(*os.Process) {}
