package descendants

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// sleeper starts an orphan: a process with a plug-in's folder in its environment, which the tracker has not started.
func sleeper(t *testing.T, root string) (pid int, ended <-chan struct{}) {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	cmd.Env = append(os.Environ(), "TMPDIR="+filepath.Join(root, "plugin"))
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
	})
	return cmd.Process.Pid, done
}

// Clear tries again with an orphan without an environment, as one has in the middle of execve; a process that never has one
// does not hold it up.
func TestOrphanInsideExecve(t *testing.T) {
	for _, empty := range []int{1, rereads - 1, 1 << 30} {
		root := t.TempDir()
		pid, ended := sleeper(t, root)
		reads := 0
		f := &Tracker{Root: root, environ: func(p int) ([]byte, error) {
			if p != pid {
				return []byte("A=b"), nil
			}
			if reads++; reads <= empty {
				return nil, nil
			}
			return readEnviron(p)
		}}
		if !f.Clear(t.Context(), time.Minute) {
			t.Errorf("Clear has found what it could not kill")
		}
		gone := false
		if empty < rereads {
			select {
			case <-ended:
				gone = true
			case <-time.After(10 * time.Second):
			}
			if !gone {
				t.Errorf("the orphan whose environment was empty %d times was missed", empty)
			}
		} else if reads != rereads+1 {
			t.Errorf("a process without an environment was looked at %d times", reads)
		}
	}
}
