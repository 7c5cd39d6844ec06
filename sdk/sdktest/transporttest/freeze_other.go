//go:build !unix

package transporttest

import "os"

// freeze is nil: these systems cannot stop a process.
var freeze func(p *os.Process) error
