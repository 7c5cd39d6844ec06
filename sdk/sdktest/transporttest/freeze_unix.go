//go:build unix

package transporttest

import (
	"os"
	"syscall"
)

// freeze makes a process hang: it is there and does nothing.
var freeze = func(p *os.Process) error { return p.Signal(syscall.SIGSTOP) }
