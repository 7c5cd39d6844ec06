//go:build unix && !linux

package process

import "syscall"

// attributes returns the attributes that a process is started with. It has a process group of its own, so that a terminal's
// interrupt reaches only the host, and what the process starts can be killed with it. When the host dies the plug-in notices
// that its link ends.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit does nothing: this system cannot wait without reaping, and after that the group's ID may be another group's.
func awaitExit(int) (killRest func()) { return func() {} }
