package safefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Write replaces the file by one with data, or makes it. Only its owner may read it. When Write returns nil the new file outlives a
// crash of the machine; else the old one is there as before.
func Write(path string, data []byte) error { return write(system(os.Rename), path, data, 0o600) }

// WriteShared is Write for a file that every user may read.
func WriteShared(path string, data []byte) error { return write(system(os.Rename), path, data, 0o644) }

// Create is Write for a file that must not exist yet. An existing file stays, and the error wraps [fs.ErrExist].
func Create(path string, data []byte) error {
	return write(system(placeNew), path, data, 0o600)
}

// placeNew renames a file, and fails if another file has that name.
func placeNew(from, to string) error {
	err := os.Link(from, to)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return errors.Join(err, os.Remove(from))
	}
	if _, there := os.Lstat(to); there == nil { // a file system without links
		return &os.PathError{Op: "create", Path: to, Err: fs.ErrExist}
	}
	return os.Rename(from, to)
}

// disk is where files are written.
type disk interface {
	temporary(dir, pattern string) (temporary, error) // of mode 0600
	place(from, to string) error                      // gives a file another name
	syncFolder(dir string) error
}

// temporary is a file that is being written.
type temporary interface {
	io.WriteCloser
	Name() string
	Chmod(mode fs.FileMode) error
	Sync() error
}

// system is the operating system's disk, with the function that renames a file.
type system func(from, to string) error

func (system) temporary(dir, pattern string) (temporary, error) { return os.CreateTemp(dir, pattern) }
func (s system) place(from, to string) error                    { return s(from, to) }
func (system) syncFolder(dir string) error                      { return SyncFolder(dir) }

func write(d disk, path string, data []byte, mode fs.FileMode) error {
	dir := filepath.Dir(path)
	f, err := d.temporary(dir, "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = d.place(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	if err := d.syncFolder(dir); err != nil {
		return fmt.Errorf("sync folder %s: %w", dir, err)
	}
	return nil
}

// MakeFolder makes a folder that only its owner may enter, and those above it that are missing; they outlive a crash of the machine.
// A folder that is there stays as it is.
func MakeFolder(dir string) error { return makeFolder(dir, SyncFolder) }

func makeFolder(dir string, sync func(dir string) error) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if _, err := os.Stat(dir); err == nil {
		return os.MkdirAll(dir, 0o700) // the error if it is a file
	}
	if above := filepath.Dir(dir); above != dir {
		if err := makeFolder(above, sync); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return sync(filepath.Dir(dir))
}

// Renew seals a file of an earlier version, which has no first line yet, with the payload that was read from it. A path that is a
// symbolic link stays as it is.
func Renew(path, kind string, payload []byte, sealed bool) error {
	if info, err := os.Lstat(path); sealed || err != nil || !info.Mode().IsRegular() {
		return err
	}
	return Write(path, Seal(kind, payload))
}
