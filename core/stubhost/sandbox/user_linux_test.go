package sandbox

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const somebody = FirstUID + 7

// roots skips the test if this process cannot change to other users.
func roots(t *testing.T) (dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "u")
	if err == nil {
		err = os.Chmod(dir, 0o711)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := MayBecome(FirstUID, dir); err != nil {
		t.Skip(err)
	}
	return dir
}

func TestLacks(t *testing.T) {
	dir := roots(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, step := range []error{
		os.MkdirAll(at("in/deep"), 0o755), os.WriteFile(at("in/deep/open"), nil, 0o644), os.WriteFile(at("in/deep/closed"), nil, 0o600),
		os.WriteFile(at("theirs"), nil, 0o600), os.Chown(at("theirs"), somebody, somebody),
		os.WriteFile(at("group"), nil, 0o640), os.Chown(at("group"), 0, somebody),
		os.WriteFile(at("others"), nil, 0o600), os.Chown(at("others"), somebody+1, 0),
		os.Symlink(at("in/deep/closed"), at("link")), os.Symlink(at("loop"), at("loop")), os.Symlink(at("nowhere"), at("dangling")),
		os.Mkdir(at("many"), 0o755), os.WriteFile(at("program"), nil, 0o700), os.WriteFile(at("run"), []byte("#!/bin/sh\n"), 0o755),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	l, err := net.Listen("unix", at("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(at("socket"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path, program string
		want          string // that the user cannot use
		missing       string
	}{
		"nothing":            {"in/deep/open", "run", "", ""},
		"its own":            {"theirs", "run", "", ""},
		"its group's":        {"group", "run", "", ""},
		"a file in a folder": {"in", "run", "read in/deep/closed", ""},
		"a link":             {"link", "run", "read link", ""},
		"links to nothing":   {"loop", "run", "", ""},
		"a dangling one":     {"dangling", "run", "", ""},
		"not there":          {"nowhere", "run", "", ""},
		"a socket":           {"socket", "run", "connect to socket", ""},
		"its program":        {"in/deep/open", "program", "run program", ""},
		"somebody else's":    {"others", "run", "", "read others"},
	} {
		lost, missing, err := Lacks(User{somebody}, Needs{Program: at(c.program), Paths: []string{at(c.path)}, Confined: true})
		if err != nil {
			t.Fatal(err)
		}
		text := func(lacks []Lack) string {
			var all []string
			for _, l := range lacks {
				all = append(all, string(l.Kind)+" "+strings.TrimPrefix(l.Path, dir+"/"))
			}
			return strings.Join(all, ", ")
		}
		if text(lost) != c.want || text(missing) != c.missing {
			t.Errorf("%s: lost %q, missing %q", name, text(lost), text(missing))
		}
	}
	lost, _, err := Lacks(User{somebody}, Needs{Program: at("run"), Paths: []string{at("others")}}) // root with its capabilities
	if err != nil || len(lost) != 1 {
		t.Errorf("without a sandbox: %v, %v", lost, err)
	}
}

// The number of checked files is bounded, and files that were not checked do not count as readable.
func TestLooksAreBounded(t *testing.T) {
	dir := t.TempDir()
	for i := range 20 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	deep := filepath.Join(t.TempDir(), strings.Repeat("d/", maxDepth+2))
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, most := range map[string]int{dir: 19, filepath.Dir(strings.TrimSuffix(deep, strings.Repeat("/d", maxDepth+1))): maxLooked} {
		l := checker{most: most}
		l.look(nil, []string{path})
		if !slices.ContainsFunc(l.lacks, func(l Lack) bool { return l.Kind == LackMany && l.Path == path }) {
			t.Errorf("%s: %v", path, l.lacks)
		}
	}
	enough := checker{most: 20}
	enough.look(nil, []string{dir})
	if len(enough.lacks) > 0 {
		t.Errorf("%v", enough.lacks)
	}
}

// The error names the capability that is missing, and says if the process cannot change to another user.
func TestMayNotBecome(t *testing.T) {
	dir := roots(t)
	for _, n := range neededForUsers {
		var err error
		OnThread(func() {
			header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var sets [2]unix.CapUserData
			if err = unix.Capget(&header, &sets[0]); err == nil {
				sets[0].Effective &^= 1 << n.capability
				err = unix.Capset(&header, &sets[0])
			}
			if err == nil {
				err = MayBecome(FirstUID, dir)
			}
		})
		if unable := new(UserError); !errors.As(err, &unable) || unable.Why != "the runtime has not "+n.name {
			t.Errorf("without %s: %v", n.name, err)
		}
	}
	if err := tryUser(User{math.MaxUint32}, false); err == nil {
		t.Error("a user that nobody can be is taken for one")
	}
}
