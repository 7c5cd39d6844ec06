//go:build !linux

package testbed

import "os/exec"

// dieWithParent does nothing on this system: if this process is killed, its children have to be ended by hand.
func dieWithParent(*exec.Cmd) {}
