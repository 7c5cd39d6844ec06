package sandbox

import (
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// The limits apply to the process, and never exceed those that it had.
func TestLimit(t *testing.T) {
	cmd := exec.Command("/bin/sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	pid := cmd.Process.Pid
	if err := Limit(pid, Limits{FileSize: 1 << 20, OpenFiles: 100}); err != nil {
		t.Fatal(err)
	}
	if err := Limit(pid, Limits{FileSize: 1 << 40, OpenFiles: 200}); err != nil {
		t.Fatal(err)
	}
	for what, limit := range map[string]struct {
		resource int
		want     uint64
	}{"core dumps": {unix.RLIMIT_CORE, 0}, "the size of a file": {unix.RLIMIT_FSIZE, 1 << 20}, "open files": {unix.RLIMIT_NOFILE, 100}} {
		var now unix.Rlimit
		if err := unix.Prlimit(pid, limit.resource, nil, &now); err != nil || now.Cur != limit.want || now.Max != limit.want {
			t.Errorf("%s: %+v, %v; want %d", what, now, err, limit.want)
		}
	}
}
