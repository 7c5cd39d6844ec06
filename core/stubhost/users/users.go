// Package users gives each plug-in a dedicated user ID, which owns the folders of the plug-in's processes and nothing else. That
// is possible where this process runs as root and may start processes under other users. Where the dedicated user cannot read
// what the plug-in needs, the plug-in runs under this process's user, or is refused.
package users

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/protofly/protofly/core/stubhost/executable"
	"github.com/protofly/protofly/core/stubhost/sandbox"
)

// MaxFolder is the longest path, in bytes, of the folder that has the folders of processes. With what is appended to it, the
// path of a process's socket stays within the 104 bytes that every system allows.
const MaxFolder = 104 - len("/p1234567890/plugin-dir1234567890/plugin1234567890")

// FolderPrefix begins the name of such a folder in the folder for temporary files.
const FolderPrefix = "protofly-"

// Users knows the user of each plug-in's processes. Dedicated IDs are derived from the host's folder and the plug-in's name, so
// that plug-ins of several runtimes on a machine have different ones. The exported fields are set before its first use.
type Users struct {
	Dir      string // the host's folder
	Shared   string // the folder of the processes' folders, where plug-ins have dedicated users
	Confined bool   // the processes are confined: see package sandbox
	First    uint32 // the first of the range of IDs; 0: all processes run under this process's user
	Why      string // why all processes do
	Strict   bool   // none of them may

	mu    sync.Mutex
	taken map[uint32]string // plug-ins' names by ID; bounded by the number of plug-ins
}

// of returns the dedicated user of a plug-in. separate is false where it has none.
func (u *Users) of(name string) (user sandbox.User, separate bool) {
	if u.First == 0 {
		return sandbox.User{}, false
	}
	sum := sha256.Sum256([]byte(u.Dir + "\x00" + name))
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.taken == nil {
		u.taken = map[uint32]string{}
	}
	for at := binary.BigEndian.Uint32(sum[:]) % sandbox.UIDs; ; at = (at + 1) % sandbox.UIDs {
		if owner, taken := u.taken[at]; !taken || owner == name || len(u.taken) >= sandbox.UIDs {
			u.taken[at] = name
			return sandbox.User{ID: u.First + at}, true
		}
	}
}

// Separate finds out whether plug-ins run under dedicated user IDs. Where they do, it makes the folder of the processes' folders
// in the folder for temporary files, since other users cannot reach the host's folder. Where they do not, done is false and
// [Users.Why] says why; that is an error where the options require dedicated IDs.
func (u *Users) Separate(o sandbox.Users, confined sandbox.Mode) (done bool, err error) {
	dir, first, err := usersFolder(o, confined)
	if err == nil {
		u.First, u.Strict, u.Shared = first, o.Mode == sandbox.Required, dir
		return true, nil
	}
	if o.Mode == sandbox.Required {
		return false, fmt.Errorf("%w, and the configuration requires it (plugins.uids)", err)
	}
	u.Why = err.Error()
	if unable := new(sandbox.UserError); errors.As(err, &unable) {
		u.Why = unable.Why
	}
	return false, nil
}

// Separable returns nil if a host with these options would run plug-ins under dedicated user IDs, else why not. It leaves no
// files behind.
func Separable(u sandbox.Users, confined sandbox.Mode) error {
	dir, _, err := usersFolder(u, confined)
	if err != nil {
		return err
	}
	return os.Remove(dir)
}

// usersFolder makes the folder of the processes' folders for dedicated users, and returns the first of the range of IDs.
func usersFolder(u sandbox.Users, confined sandbox.Mode) (dir string, first uint32, err error) {
	switch {
	case u.Mode != sandbox.Off && os.Geteuid() != 0:
		return "", 0, &sandbox.UserError{Why: "the runtime does not run as root"}
	case u.Mode == sandbox.Off:
		return "", 0, &sandbox.UserError{Why: "plugins.uids is off"}
	case u.Mode != sandbox.Required && u.First == 0 && confined == sandbox.Off:
		// Without a sandbox it is not known what plug-ins read.
		return "", 0, &sandbox.UserError{Why: "plugins.sandbox is off; with plugins.uids: on they run under IDs of their own all the same"}
	}
	first = cmp.Or(u.First, sandbox.FirstUID)
	dir, err = sharedFolder(first)
	return dir, first, err
}

// sharedFolder makes a folder whose files other users can open but not list, if processes under the IDs from first on can run
// there.
func sharedFolder(first uint32) (string, error) {
	dir, err := os.MkdirTemp("", FolderPrefix)
	if err != nil {
		return "", err
	}
	err = os.Chmod(dir, sharedMode)
	if err == nil {
		err = sandbox.MayBecome(first, dir)
	}
	if err == nil && len(dir) > MaxFolder {
		err = fmt.Errorf("the path %s is too long for sockets; set TMPDIR", dir)
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(dir))
	}
	return dir, nil
}

const sharedMode = 0o711

// checkFolders makes sure that the folders in the folder for temporary files exist and belong to this host.
func (u *Users) checkFolders() error {
	for _, dir := range []string{u.Shared, filepath.Join(u.Shared, "bin")} { // a cleaner of temporary files may have removed them
		if err := os.Mkdir(dir, sharedMode); err == nil {
			err = os.Chmod(dir, sharedMode) // Mkdir's mode is subject to the umask
			if err != nil {
				return err
			}
		} else if !errors.Is(err, os.ErrExist) {
			return err
		}
		if info, err := os.Lstat(dir); err != nil || !info.IsDir() || !isRoots(info) || info.Mode().Perm() != sharedMode {
			return fmt.Errorf("%s is not the folder that it was: somebody else has made it; start the runtime again", dir)
		}
	}
	return nil
}

// shareCopy copies an executable to a folder that dedicated users can reach.
func (u *Users) shareCopy(program, sum string) (string, error) {
	want, err := hex.DecodeString(sum)
	if err != nil {
		return "", err
	}
	target := filepath.Join(u.Shared, "bin", filepath.Base(program))
	if _, err := os.Stat(target); err == nil {
		return target, nil // only root can have written it
	}
	if err := os.Chmod(program, executable.Mode); err != nil { // one of an earlier version had another mode
		return "", err
	}
	if os.Link(program, target) == nil {
		return target, nil
	}
	return target, executable.Copy(program, target, want)
}
