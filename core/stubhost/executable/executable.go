// Package executable keeps private copies of plug-ins' executables. A copy has the checksum that the plug-in was installed
// with. The host runs the copy, so that nobody can change the program between the check and the start.
package executable

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	goplugin "github.com/hashicorp/go-plugin"

	"github.com/protofly/protofly/core/stubhost/failure"
)

// Store is a folder of copies.
type Store struct {
	dir string

	mu      sync.Mutex
	checked map[string]check // by the plug-in's name: the file that was checked last
}

// check is a file whose checksum was verified.
type check struct {
	path, sum string
	state     fileState
}

// fileState tells whether a file is the same as when it was last read.
type fileState struct {
	size  int64
	mtime time.Time
	inode uint64
}

// NewStore makes a store of copies in dir, which exists and which nobody else writes to.
func NewStore(dir string) *Store { return &Store{dir: dir, checked: map[string]check{}} }

// Get returns the path of a copy of a plug-in's executable. path is the executable, checksum its SHA-256 in
// hexadecimal. Get reads the file only if it has changed since it was last read. Where the file was removed, Get returns an
// existing copy. The error is a [*failure.StartError].
func (s *Store) Get(name, path, checksum string) (copied string, err error) {
	refuse := func(reason failure.Reason, err error, format string, args ...any) (string, error) {
		return "", &failure.StartError{Plugin: name, Reason: reason, Detail: fmt.Sprintf(format, args...), Err: err}
	}
	want, err := hex.DecodeString(checksum)
	if err != nil || len(want) != sha256.Size {
		return refuse(failure.Checksum, nil, "its descriptor has no SHA-256 checksum; install it again: protofly plugins install %s", path)
	}
	target := filepath.Join(s.dir, strings.ToLower(checksum))
	now, err := stat(path)
	if err != nil {
		if matches(target, want) { // the file was replaced; the installed version runs until the host gets the new checksum
			return target, nil
		}
		return refuse(failure.Missing, err, "its executable cannot be read; install it again")
	}
	found := check{path: path, sum: checksum, state: now}
	s.mu.Lock()
	same := s.checked[name] == found
	s.mu.Unlock()
	if same && matches(target, want) {
		return target, nil
	}
	if err := Copy(path, target, want); err != nil {
		if errors.Is(err, goplugin.ErrChecksumsDoNotMatch) {
			return refuse(failure.Checksum, err, "%s is not the file that was installed; if you have changed it yourself, "+
				"install it again: protofly plugins install %s", path, path)
		}
		return refuse(failure.Missing, err, "its executable cannot be copied")
	}
	s.mu.Lock()
	s.checked[name] = found
	s.mu.Unlock()
	return target, nil
}

func stat(path string) (fileState, error) {
	info, err := os.Stat(path)
	if err != nil {
		return fileState{}, err
	}
	if !info.Mode().IsRegular() {
		return fileState{}, fmt.Errorf("%s is not a file", path)
	}
	return fileState{size: info.Size(), mtime: info.ModTime(), inode: inode(info)}, nil
}

// matches tells whether the file has the checksum. It makes a new hash each time, since go-plugin does not reset it.
func matches(path string, want []byte) bool {
	ok, err := (&goplugin.SecureConfig{Checksum: want, Hash: sha256.New()}).Check(path)
	return err == nil && ok
}

// Copy copies from to target while it hashes it; target appears only if the checksum is right. A target that exists with the
// right checksum stays: the sandbox of a process that runs it allows that very file.
func Copy(from, target string, want []byte) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	// A process that is started during the copy would inherit the file open for writing, and then the copy could not be run.
	syscall.ForkLock.RLock()
	sum, temp, err := hashCopy(in, filepath.Dir(target))
	syscall.ForkLock.RUnlock()
	if err == nil && !matchesSum(sum, want) {
		err = goplugin.ErrChecksumsDoNotMatch
	}
	if err == nil && (os.Link(temp, target) == nil || matches(target, want)) {
		return os.Remove(temp)
	}
	if err == nil {
		err = os.Rename(temp, target)
	}
	if err != nil {
		_ = os.Remove(temp)
	}
	return err
}

// Mode is the file mode of a copy. Dedicated users of plug-ins run it; where there are none, its folder is closed to others.
const Mode = 0o555

func hashCopy(in io.Reader, dir string) (sum []byte, path string, err error) {
	out, err := os.CreateTemp(dir, "copy-")
	if err != nil {
		return nil, "", err
	}
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(out, h), in)
	err = errors.Join(err, out.Chmod(Mode), out.Close())
	return h.Sum(nil), out.Name(), err
}

func matchesSum(sum, want []byte) bool { return string(sum) == string(want) }
