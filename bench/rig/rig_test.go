package rig

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What cannot be built or started is an error that names it.
func TestBroken(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := start(ctx, command{name: "a broken one", log: os.DevNull, args: []string{"false"}}); err == nil || !strings.Contains(err.Error(), "a broken one") {
		t.Errorf("a process that ends at once: %v", err)
	}
	var exit *exec.ExitError
	if _, err := Build(ctx, t.TempDir(), []string{"no-such-plug-in"}); !errors.As(err, &exit) {
		t.Errorf("a plug-in that does not exist: %v", err)
	}
}

// A process can be killed, is put where the command in front says, and adds to its log when it is started again.
func TestProcess(t *testing.T) {
	log := t.TempDir() + "/log"
	c := command{name: "one", log: log, in: []string{"env", "WORD=here"}, args: []string{"sh", "-c", "echo once >&2; echo $WORD; exec sleep 60"}}
	for range 2 {
		p, err := start(t.Context(), c)
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
