package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A key is taken by its old name, with a warning that has the new one and the place.
func TestOldNames(t *testing.T) {
	name := file(t, "name: bob\nlimits:\n  minFree: 4MiB\n  rest: 90s\nparts: {quick-one: {maxSpeed: 5}}\n")
	c, v := load(t, Sources{File: name})
	if c.Limits.MinFree != 4<<20 || c.Limits.Idle != 90*time.Second || c.Parts["quick-one"]["max_speed"] != int64(5) {
		t.Errorf("%+v", c)
	}
	want := []string{name + ":3: limits.minFree is called limits.min_free now", name + ":4: limits.rest is called limits.idle now",
		name + ":5: parts.quick-one.maxSpeed is called parts.quick-one.max_speed now"}
	if len(v.Warnings) != len(want) {
		t.Fatalf("%q", v.Warnings)
	}
	for i := range want {
		if !strings.HasPrefix(v.Warnings[i], want[i]) {
			t.Errorf("%q, want %q", v.Warnings[i], want[i])
		}
	}
	if from := v.Origin["limits.min_free"]; from != name+":3" {
		t.Errorf("from %q", from)
	}
	mistaken(t, Sources{File: file(t, "name: bob\nlimits: {minFree: many}\n")}, ":2: limits.min_free: want a size")
	mistaken(t, Sources{File: file(t, "name: bob\nlimits:\n  min_free: 1MiB\n  minFree: 4MiB\n")}, ":4: limits.minFree is the old name of limits.min_free, which is there too: keep limits.min_free")
	if c, _ := load(t, Sources{File: name, Environ: []string{"EXAMPLE_LIMITS__MIN_FREE=8MiB"}}); c.Limits.MinFree != 8<<20 {
		t.Errorf("a variable does not win over an old name in the file: %d", c.Limits.MinFree)
	}
	if _, v := load(t, Sources{File: file(t, "name: bob\nlimits: {min_free: 1MiB}\n")}); len(v.Warnings) > 0 {
		t.Errorf("%q", v.Warnings)
	}
}

func TestOldVariables(t *testing.T) {
	base := file(t, "name: bob\n")
	for variable, now := range map[string]string{"EXAMPLE_LIMITS_MIN_FREE": "EXAMPLE_LIMITS__MIN_FREE", "EXAMPLE_LIMITS_MINFREE": "EXAMPLE_LIMITS__MIN_FREE",
		"EXAMPLE_LIMITS__MINFREE": "EXAMPLE_LIMITS__MIN_FREE"} {
		c, v := load(t, Sources{File: base, Environ: []string{variable + "=4MiB"}})
		if c.Limits.MinFree != 4<<20 || len(v.Warnings) != 1 || !strings.HasPrefix(v.Warnings[0], variable+" is called "+now+" now") || v.Origin["limits.min_free"] != variable {
			t.Errorf("%s: %+v %q %s", variable, c, v.Warnings, v.Origin["limits.min_free"])
		}
		mistaken(t, Sources{File: base, Environ: []string{variable + "=4MiB", now + "=5MiB"}}, variable+": it is the old name of "+now+", which is set too")
		if c, v := load(t, Sources{File: base, Environ: []string{variable + "= ", now + "=5MiB"}}); c.Limits.MinFree != 5<<20 || len(v.Warnings) > 0 {
			t.Errorf("an empty %s counts: %+v %q", variable, c, v.Warnings)
		}
	}
	if _, v := load(t, Sources{File: base, Environ: []string{"EXAMPLE_OPEN=true"}}); len(v.Warnings) > 0 {
		t.Errorf("%q", v.Warnings)
	}
}

// A relative path in the file is relative to its folder. One that is only in the current folder is taken from there, with a
// warning, as earlier versions did.
func TestPaths(t *testing.T) {
	name := file(t, "name: bob\nfolder: state\n")
	there := filepath.Join(filepath.Dir(name), "state")
	current := t.TempDir()
	t.Chdir(current)
	if c, v := load(t, Sources{File: name}); c.Folder != there || len(v.Warnings) > 0 {
		t.Errorf("%s %q", c.Folder, v.Warnings)
	}
	if err := os.Mkdir("state", 0o700); err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(current, "state")
	c, v := load(t, Sources{File: name})
	if real, err := filepath.EvalSymlinks(c.Folder); err != nil || !sameFolder(t, real, old) || len(v.Warnings) != 1 || !strings.HasPrefix(v.Warnings[0], name+":2: folder: paths are relative to the file's folder now") {
		t.Errorf("%s %q", c.Folder, v.Warnings)
	}
	if err := os.Mkdir(there, 0o700); err != nil {
		t.Fatal(err)
	}
	if c, v := load(t, Sources{File: name}); c.Folder != there || len(v.Warnings) > 0 {
		t.Errorf("%s %q", c.Folder, v.Warnings)
	}
	if c, _ := load(t, Sources{File: name, Environ: []string{"EXAMPLE_FOLDER=state"}}); !sameFolder(t, c.Folder, old) {
		t.Errorf("%s", c.Folder)
	}
}

func sameFolder(t *testing.T, a, b string) bool {
	t.Helper()
	x, err := os.Stat(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
