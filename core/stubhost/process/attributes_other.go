//go:build unix && !linux

package process

import "syscall"

// attributes puts the process into a group of its own: a terminal's interrupt is the host's to handle, and what the
// process starts can be killed with it. When the host dies the plug-in sees its link end.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit does nothing: without a way to wait that does not reap, the group's number could be another's.
func awaitExit(int) (killRest func()) { return func() {} }
