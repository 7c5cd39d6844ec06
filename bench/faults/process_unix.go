//go:build unix

package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// process is a process. It is not mistaken for a later one with the same number.
type process struct {
	pid  int
	born string // "" if the system does not say
}

// identify notes which process has the number now.
func identify(pid int) process {
	_, born := look(pid)
	return process{pid, born}
}

// alive tells whether the process runs. One that has ended, and for which its parent has not waited yet, does not run.
func (p process) alive() bool {
	if syscall.Kill(p.pid, 0) != nil {
		return false
	}
	state, born := look(p.pid)
	return born == p.born && state != "Z"
}

// look reads a process's state and when it was started, where there is a /proc.
func look(pid int) (state, born string) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", ""
	}
	rest := string(text)
	fields := strings.Fields(rest[strings.LastIndex(rest, ")")+1:]) // a name may contain anything
	if len(fields) < 20 {
		return "", ""
	}
	return fields[0], fields[19]
}

// kill ends a process at once.
func kill(pid int) error { return syscall.Kill(pid, syscall.SIGKILL) }
