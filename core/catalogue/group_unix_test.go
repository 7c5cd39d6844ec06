//go:build unix

package catalogue

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/protofly/protofly/core/stubhost/sandbox"
)

// A program that is not a plug-in and does not end is killed with the processes that it has started.
func TestInstallLeavesNoProcess(t *testing.T) {
	dir := t.TempDir()
	program, note := filepath.Join(dir, "program"), filepath.Join(dir, "pid")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nsleep 300 &\necho $! > "+note+".new\nmv "+note+".new "+note+"\nwait\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	go func() { // cancels as soon as its child runs
		defer cancel()
		for ctx.Err() == nil {
			if _, err := os.Stat(note); err == nil {
				return
			}
			<-time.After(10 * time.Millisecond)
		}
	}()
	// It is not confined: it writes down the ID of its child.
	if _, err := (Installer{Sandbox: sandbox.Off}).Install(ctx, program, filepath.Join(dir, "installed")); err == nil {
		t.Fatal("it was installed")
	}
	text, err := os.ReadFile(note)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for range 3000 {
		if !running(pid) {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	t.Error("a process that it has started is left")
}

// running tells whether a process with that ID runs.
func running(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}
