//go:build !unix

package process

import (
	"os"
	"os/exec"
	"syscall"
)

// attributes are none here. When the host dies the plug-in sees its link end.
func attributes() *syscall.SysProcAttr { return nil }

// waitExit waits until the process is gone. What it has started itself is not known here.
func waitExit(cmd *exec.Cmd) *os.ProcessState {
	state, _ := cmd.Process.Wait()
	return state
}

// terminate has no effect: no signal but the killing one can be sent here. The plug-in is asked to end over its link.
func terminate(*os.Process) {}
