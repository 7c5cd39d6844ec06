//go:build unix

package safefile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/protofly/protofly/core/safefile"
)

func folder(t *testing.T, at string, mode fs.FileMode) string {
	t.Helper()
	if err := os.Mkdir(at, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(at, mode); err != nil {
		t.Fatal(err)
	}
	return at
}

func TestCheckFolder(t *testing.T) {
	base := t.TempDir()
	for mode, want := range map[fs.FileMode]string{
		0o700: "", 0o755: "", 0o750: "", 0o777: "chmod 700", 0o770: "chmod 700", 0o775: "chmod 700", 0o777 | fs.ModeSticky: "chmod 700", 0o702: "chmod 700",
	} {
		dir := folder(t, filepath.Join(base, mode.String()), mode)
		_, err := safefile.CheckFolder(dir)
		if want == "" && err != nil || want != "" && (!errors.Is(err, safefile.ErrExposed) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir)) {
			t.Errorf("%v: %v, want %q", mode, err, want)
		}
	}
	for mode, want := range map[fs.FileMode]string{
		0o755: "", 0o777 | fs.ModeSticky: "", 0o777: "chmod go-w", 0o757: "chmod go-w",
	} {
		above := folder(t, filepath.Join(base, "above-"+mode.String()), mode)
		dir := folder(t, filepath.Join(above, "data"), 0o700)
		link := filepath.Join(base, "link-"+mode.String())
		if err := os.Symlink(dir, link); err != nil {
			t.Fatal(err)
		}
		for _, at := range []string{dir, link} {
			_, err := safefile.CheckFolder(at)
			if want == "" && err != nil || want != "" && (!errors.Is(err, safefile.ErrExposed) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), above)) {
				t.Errorf("below %v: %v, want %q", mode, err, want)
			}
		}
	}
	if _, err := safefile.CheckPlace(folder(t, filepath.Join(base, "sticky"), 0o777|fs.ModeSticky)); err != nil {
		t.Errorf("a sticky place: %v", err)
	}
	if _, err := safefile.CheckPlace(folder(t, filepath.Join(base, "open"), 0o777)); !errors.Is(err, safefile.ErrExposed) {
		t.Errorf("an open place: %v", err)
	}
	if _, err := safefile.CheckFolder(filepath.Join(base, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

func TestReadChecksTheMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for mode, want := range map[fs.FileMode][2]string{ // for other files, for a secret one
		0o600: {"", ""}, 0o400: {"", ""}, 0o644: {"", "chmod 600"}, 0o640: {"", "chmod 600"}, 0o666: {"chmod go-w", "chmod 600"}, 0o620: {"chmod go-w", "chmod 600"},
	} {
		if err := errors.Join(safefile.Write(path, []byte("x")), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		for i, want := range want {
			_, err := safefile.Read(path, 10, i == 1)
			if want == "" && err != nil || want != "" && (!errors.Is(err, safefile.ErrExposed) || !strings.Contains(err.Error(), want)) {
				t.Errorf("%v, secret %v: %v, want %q", mode, i == 1, err, want)
			}
		}
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := safefile.Read(pipe, 10, true); err == nil || !strings.Contains(err.Error(), "no file") {
		t.Errorf("a pipe: %v", err) // and it did not wait
	}
}

// Files of another user are refused, unless root of a container has them in a folder of that user.
func TestReadChecksTheOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir := folder(t, filepath.Join(t.TempDir(), "data"), 0o700)
	path := filepath.Join(dir, "file")
	if err := errors.Join(safefile.Write(path, []byte("x")), os.Chown(path, 4711, 4711)); err != nil {
		t.Fatal(err)
	}
	if _, err := safefile.Read(path, 10, true); !errors.Is(err, safefile.ErrExposed) || !strings.Contains(err.Error(), "chown 0") {
		t.Errorf("another user's file: %v", err)
	}
	if err := os.Chown(dir, 4711, 4711); err != nil {
		t.Fatal(err)
	}
	if _, err := safefile.Read(path, 10, true); err != nil {
		t.Errorf("in a folder that root was given: %v", err)
	}
	if warnings, err := safefile.CheckFolder(dir); err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "4711") {
		t.Errorf("%q, %v", warnings, err)
	}
}
