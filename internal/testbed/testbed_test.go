package testbed

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A program that cannot be started gives an error that names it.
func TestBroken(t *testing.T) {
	_, err := Command{Name: "a broken one", Log: os.DevNull, Args: []string{"false"}}.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "a broken one") {
		t.Errorf("a process that ends at once: %v", err)
	}
}

// A process can be killed, is put where the command in front says, and adds to its log when it is started again.
func TestProcess(t *testing.T) {
	log := t.TempDir() + "/log"
	c := Command{Name: "one", Log: log, In: []string{"env", "WORD=here"}, Args: []string{"sh", "-c", "echo once >&2; echo $WORD; exec sleep 60"}}
	for range 2 {
		p, err := c.Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if p.Line != "here" || p.Ended() {
			t.Errorf("it said %q, ended: %v", p.Line, p.Ended())
		}
		p.Kill()
		if !p.Ended() {
			t.Error("killed and not ended")
		}
	}
	if text, err := os.ReadFile(log); err != nil || strings.Count(string(text), "once") != 2 {
		t.Errorf("log %q, %v", text, err)
	}
}

// A bed has what its options say, and leaves nothing.
func TestBed(t *testing.T) {
	b, err := Open(t.Context(), Options{Runtimes: []string{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		if _, err := os.Stat(b.Sockets[name]); err != nil {
			t.Error(err)
		}
	}
	if len(b.processes) != 3 || !strings.HasPrefix(b.Node, "ws://127.0.0.1:") {
		t.Errorf("%d processes, the node's at %q", len(b.processes), b.Node)
	}
	b.Close()
	for _, p := range b.processes {
		if !p.Ended() {
			t.Errorf("%s runs", p.name)
		}
	}
	if _, err := os.Stat(b.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is left: %v", err)
	}
}
