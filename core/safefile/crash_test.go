package safefile

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// model is a disk with a cache, as of a machine that may lose its power: data that were not synced may be lost, and a name
// may be kept although the data of its file are lost.
type model struct {
	names, kept map[string]*modelFile // as programs see them; as they are after a crash
	steps       int                   // until the machine crashes
}

type modelFile struct {
	disk       *model
	name       string
	text, kept []byte // as programs see it; as it is after a crash
}

var errCrash = errors.New("the machine has crashed")

func (d *model) step() error {
	if d.steps--; d.steps < 0 {
		return errCrash
	}
	return nil
}

func (d *model) temporary(dir, _ string) (temporary, error) {
	if err := d.step(); err != nil {
		return nil, err
	}
	f := &modelFile{disk: d, name: filepath.Join(dir, "temporary")}
	d.names[f.name] = f
	return f, nil
}

func (d *model) place(from, to string) error {
	if err := d.step(); err != nil {
		return err
	}
	d.names[to] = d.names[from]
	delete(d.names, from)
	return nil
}

func (d *model) syncFolder(string) error {
	if err := d.step(); err != nil {
		return err
	}
	d.kept = maps.Clone(d.names)
	return nil
}

func (f *modelFile) Name() string            { return f.name }
func (f *modelFile) Chmod(fs.FileMode) error { return f.disk.step() }
func (f *modelFile) Close() error            { return f.disk.step() }

func (f *modelFile) Write(text []byte) (int, error) {
	half := len(text) / 2 // it may crash in the middle
	for _, part := range [][]byte{text[:half], text[half:]} {
		if err := f.disk.step(); err != nil {
			return 0, err
		}
		f.text = append(f.text, part...)
	}
	return len(text), nil
}

func (f *modelFile) Sync() error {
	if err := f.disk.step(); err != nil {
		return err
	}
	f.kept = bytes.Clone(f.text)
	return nil
}

// After a crash at any step of a write there is the old file or the new one, whole, whatever of it the disk has kept; and the
// new one if the write had returned.
func TestCrash(t *testing.T) {
	const path = "folder/file"
	older, newer := Seal("kind", []byte("old")), Seal("kind", []byte("the new one"))
	for steps, done := 0, false; !done; steps++ {
		d := &model{names: map[string]*modelFile{}, kept: map[string]*modelFile{}, steps: 100}
		if err := write(d, path, older, 0o600); err != nil {
			t.Fatal(err)
		}
		d.steps = steps
		err := write(d, path, newer, 0o600)
		if done = err == nil; !done && !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		for how, names := range map[string]map[string]*modelFile{"names that were synced": d.kept, "names that were not": d.names} {
			f := names[path]
			switch {
			case f == nil:
				t.Errorf("crash at step %d, %s: there is no file", steps, how)
			case done && !bytes.Equal(f.kept, newer):
				t.Errorf("crash after a write that had returned, %s: %q", how, f.kept)
			case !bytes.Equal(f.kept, older) && !bytes.Equal(f.kept, newer):
				t.Errorf("crash at step %d, %s: %q", steps, how, f.kept)
			}
		}
		if steps > 100 {
			t.Fatal("it never returns")
		}
	}
}

// New folders are synced into those above them, from the top on.
func TestMadeFoldersAreSynced(t *testing.T) {
	base := t.TempDir()
	var synced []string
	if err := makeFolder(filepath.Join(base, "a", "b", "c"), func(dir string) error {
		rel, err := filepath.Rel(base, dir)
		synced = append(synced, rel)
		entries, _ := os.ReadDir(dir)
		if len(entries) != 1 {
			t.Errorf("%s is synced with %d folders in it", dir, len(entries))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if want := []string{".", "a", filepath.Join("a", "b")}; !slices.Equal(synced, want) {
		t.Errorf("synced %q, want %q", synced, want)
	}
	failed := errors.New("no")
	if err := makeFolder(filepath.Join(base, "x"), func(string) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("a folder that cannot be synced: %v", err)
	}
}

// A write that cannot put the file in its place leaves nothing behind.
func TestFailedWriteLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	failed := errors.New("no")
	if err := write(system(func(string, string) error { return failed }), filepath.Join(dir, "file"), []byte("x"), 0o600); !errors.Is(err, failed) {
		t.Error(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 0 {
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		t.Errorf("left: %s, %v", strings.Join(names, " "), err)
	}
}
