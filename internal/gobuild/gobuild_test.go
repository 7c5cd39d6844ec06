package gobuild

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A program is compiled, and replaces what is there.
func TestProgram(t *testing.T) {
	out := filepath.Join(t.TempDir(), Name("first"))
	for _, version := range []string{"1.2.3", "4.5.6"} {
		if err := Program(t.Context(), out, "cmd/runtime", "-ldflags=-X main.version="+version); err != nil {
			t.Fatal(err)
		}
		said, err := exec.Command(out, "version").CombinedOutput()
		if err != nil || !strings.Contains(string(said), version) {
			t.Errorf("version %s says %q, %v", version, said, err)
		}
	}
}

// A program that cannot be compiled gives an error that says why, and leaves no file.
func TestBroken(t *testing.T) {
	dir := t.TempDir()
	err := Programs(t.Context(), dir, "plugins/no-such-plug-in")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !strings.Contains(err.Error(), "plugins/no-such-plug-in") {
		t.Error("a package that does not exist:", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}
