// Package users gives plug-ins' processes user IDs of their own, where this process is root's and may start such processes:
// each plug-in one that owns its processes' folders and nothing else. Where a plug-in would lose by that what it needs,
// it runs under this process's user, or is refused.
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

// MaxFolder is how long the path of a folder of processes' folders may be: it leaves room for what go-plugin appends, below
// the 104 bytes that every system allows a socket's path.
const MaxFolder = 104 - len("/p1234567890/plugin-dir1234567890/plugin1234567890")

// FolderPrefix begins the names of such folders that are in that for temporary files.
const FolderPrefix = "protofly-"

// Users is which user each plug-in's processes run under. The IDs are derived from the host's folder and the plug-in's name:
// plug-ins of several runtimes on a machine have others too. The exported fields are set before its first use.
type Users struct {
	Dir      string // the host's folder
	Shared   string // the folder of the processes' folders, where there are such IDs
	Confined bool   // the processes are confined: see package sandbox
	First    uint32 // of the range of IDs; 0: all processes run under this process's own
	Why      string // why they do
	Strict   bool   // none of them may

	mu    sync.Mutex
	taken map[uint32]string // plug-ins' names; as many as there are plug-ins
}

// of is the user of a plug-in; separate is false where it is this process's own.
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

// Separate finds out whether plug-ins run under user IDs of their own, and makes the folder of their folders where they do: in
// that for temporary files, since nobody else reaches the host's. Where they do not, done is false and [Users.Why] says why;
// that is an error where the options require such IDs.
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

// Separable tells whether a host with these options would run plug-ins under user IDs of their own. It leaves nothing behind.
func Separable(u sandbox.Users, confined sandbox.Mode) error {
	dir, _, err := usersFolder(u, confined)
	if err != nil {
		return err
	}
	return os.Remove(dir)
}

// usersFolder makes the folder for the folders of plug-ins that have users of their own, and says which of those is the first.
func usersFolder(u sandbox.Users, confined sandbox.Mode) (dir string, first uint32, err error) {
	switch {
	case u.Mode != sandbox.Off && os.Geteuid() != 0:
		return "", 0, &sandbox.UserError{Why: "the runtime does not run as root"}
	case u.Mode == sandbox.Off:
		return "", 0, &sandbox.UserError{Why: "plugins.uids is off"}
	case u.Mode != sandbox.Required && u.First == 0 && confined == sandbox.Off:
		// Whoever has switched it off may have plug-ins that need more than anybody can know.
		return "", 0, &sandbox.UserError{Why: "plugins.sandbox is off; with plugins.uids: on they run under IDs of their own all the same"}
	}
	first = cmp.Or(u.First, sandbox.FirstUID)
	dir, err = sharedFolder(first)
	return dir, first, err
}

// sharedFolder makes a folder that others may reach into but not list, if processes can run there as users from first on.
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

// checkFolders makes sure that the folders which are in that for temporary files are there, and this host's.
func (u *Users) checkFolders() error {
	for _, dir := range []string{u.Shared, filepath.Join(u.Shared, "bin")} { // something may have cleared it
		if err := os.Mkdir(dir, sharedMode); err == nil {
			err = os.Chmod(dir, sharedMode) // whatever the umask is
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

// lend puts a copy of an executable where plug-ins' users reach it.
func (u *Users) lend(program, sum string) (string, error) {
	want, err := hex.DecodeString(sum)
	if err != nil {
		return "", err
	}
	target := filepath.Join(u.Shared, "bin", filepath.Base(program))
	if _, err := os.Stat(target); err == nil {
		return target, nil // nobody but root can have put it there
	}
	if err := os.Chmod(program, executable.Mode); err != nil { // one of an earlier version had another mode
		return "", err
	}
	if os.Link(program, target) == nil {
		return target, nil
	}
	return target, executable.Copy(program, target, want)
}
