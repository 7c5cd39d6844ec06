//go:build !unix

package main

import "os"

// process is a process.
type process struct {
	pid  int
	born string // never set here
}

func identify(pid int) process { return process{pid: pid} }

// alive tells whether there is such a process.
func (p process) alive() bool {
	found, err := os.FindProcess(p.pid)
	if err == nil {
		_ = found.Release()
	}
	return err == nil
}

// kill ends a process at once.
func kill(pid int) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return p.Kill()
}
