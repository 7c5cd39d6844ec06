package descendants

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/synctest"
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

// Owns looks again at a process without an environment, as one has that is inside execve, a bounded number of times.
func TestOwnsInsideExecve(t *testing.T) {
	for name, c := range map[string]struct {
		empty int // so often there is no environment
		then  string
		err   error
		reads int
		owns  bool
	}{
		"a plug-in's":                  {0, "A=b\x00TMPDIR=/stubs/plugin\x00", nil, 1, true},
		"the old host's":               {0, "TMPDIR=/old/plugin", nil, 1, true},
		"another's":                    {0, "TMPDIR=/tmp", nil, 1, false},
		"one without the variable":     {0, "A=b", nil, 1, false},
		"one that has gone":            {0, "", os.ErrNotExist, 1, false},
		"inside execve":                {1, "TMPDIR=/stubs/plugin", nil, 2, true},
		"inside execve, and another's": {2, "TMPDIR=/tmp", nil, 3, false},
		"for as long as is waited":     {rereads, "TMPDIR=/stubs/plugin", nil, rereads + 1, true},
		"for longer":                   {rereads + 1, "TMPDIR=/stubs/plugin", nil, rereads + 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reads := 0
				f := &Tracker{Root: "/stubs", OldRoot: "/old", environ: func(int) ([]byte, error) {
					if reads++; reads <= c.empty {
						return nil, nil
					}
					return []byte(c.then), c.err
				}}
				began := time.Now()
				owns := f.Owns(1) // which has no parent: its environment alone tells
				if took := time.Since(began); owns != c.owns || reads != c.reads || took != time.Duration(c.reads-1)*clearPause {
					t.Errorf("%v, after %d looks in %v", owns, reads, took)
				}
			})
		})
	}
}
