package core_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// kill ends a process at once, in the way that no process can prevent.
func kill(t testing.TB, pid int) {
	t.Helper()
	if pid <= 0 {
		t.Fatalf("no process to kill: %d", pid)
	}
	p, err := os.FindProcess(pid)
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		t.Fatalf("kill %d: %v", pid, err)
	}
}

// gone waits until a process that is not a child of this one has ended.
func gone(t testing.TB, pid int, within time.Duration) {
	t.Helper()
	deadline := time.Now().Add(within)
	for runs(pid) {
		if time.Now().After(deadline) {
			t.Errorf("process %d still runs after %v", pid, within)
			return
		}
		time.Sleep(10 * time.Millisecond) // there is no event to wait for: it is not this process's child
	}
}

// runs tells whether a process runs; a zombie does not.
func runs(pid int) bool {
	if runtime.GOOS == "linux" {
		_, state := stat(strconv.Itoa(pid))
		return state != "" && state != "Z" && state != "X"
	}
	p, err := os.FindProcess(pid)
	return err == nil && p.Signal(syscall.Signal(0)) == nil
}

// stat returns a process's parent and state, from the kernel.
func stat(pid string) (parent, state string) {
	text, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return "", ""
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 2 {
		return "", ""
	}
	return fields[1], fields[0]
}

// children are the child processes of this process. Where the system has no /proc, there are none.
func children(t testing.TB) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	entries, _ := filepath.Glob("/proc/[0-9]*")
	for _, e := range entries {
		pid := filepath.Base(e)
		if parent, _ := stat(pid); parent == strconv.Itoa(os.Getpid()) {
			found[pid] = true
		}
	}
	return found
}

// nothingLeft checks that a closed runtime has left neither processes, besides those of before, nor sockets.
func nothingLeft(t testing.TB, before map[string]bool, dirs ...string) {
	t.Helper()
	for pid := range children(t) {
		if !before[pid] {
			name, _ := os.ReadFile(filepath.Join("/proc", pid, "comm"))
			t.Errorf("process %s (%s) is left", pid, strings.TrimSpace(string(name)))
		}
	}
	for _, dir := range dirs {
		for _, s := range sockets(t, dir) {
			t.Errorf("socket %s is left", s)
		}
	}
}

// sockets are the socket files in a folder.
func sockets(t testing.TB, dir string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type()&fs.ModeSocket != 0 {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return found
}
