package stubhost

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/protofly/protofly/core/stubhost/sandbox"
)

// users is which user each plug-in's processes run under. The IDs are derived from the host's folder and the plug-in's name:
// plug-ins of several runtimes on a machine have others too.
type users struct {
	first uint32 // of the range; 0: all run under this process's own
	why   string // why they do

	mu    sync.Mutex
	taken map[uint32]string // plug-ins' names; as many as there are plug-ins
}

// of is the user of a plug-in; separate is false where it is this process's own.
func (u *users) of(dir, name string) (user sandbox.User, separate bool) {
	if u.first == 0 {
		return sandbox.User{}, false
	}
	sum := sha256.Sum256([]byte(dir + "\x00" + name))
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.taken == nil {
		u.taken = map[uint32]string{}
	}
	for at := binary.BigEndian.Uint32(sum[:]) % sandbox.UIDs; ; at = (at + 1) % sandbox.UIDs {
		if owner, taken := u.taken[at]; !taken || owner == name || len(u.taken) >= sandbox.UIDs {
			u.taken[at] = name
			return sandbox.User{ID: u.first + at}, true
		}
	}
}

// separate finds out whether plug-ins run under user IDs of their own, and makes the folder of their folders where they do: in
// that for temporary files, since nobody else reaches the host's. It says once where root's processes do not.
func (h *Host) separate() (done bool, err error) {
	why := "plugins.uids is off"
	if h.o.UIDs != 0 {
		dir, err := sharedFolder(h.o.UIDs)
		if err == nil {
			h.users.first, h.sockets = h.o.UIDs, dir
			return true, os.WriteFile(h.elsewhere, []byte(dir), 0o600)
		}
		why = err.Error()
		if unable := new(sandbox.UserError); errors.As(err, &unable) {
			why = unable.Why
		}
	}
	h.users.why = why
	if os.Geteuid() == 0 {
		h.o.Log.Warn("plug-ins run as root, not under user IDs of their own", "reason", why)
	}
	return false, nil
}

// sharedFolder makes a folder that others may reach into but not list, if processes can run there as users from first on.
func sharedFolder(first uint32) (string, error) {
	dir, err := os.MkdirTemp("", socketsPrefix)
	if err != nil {
		return "", err
	}
	err = os.Chmod(dir, sharedMode)
	if err == nil {
		err = sandbox.MayBecome(first, dir)
	}
	if err == nil && len(dir) > maxSocketDir {
		err = fmt.Errorf("the path %s is too long for sockets; set TMPDIR", dir)
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(dir))
	}
	return dir, nil
}

const sharedMode = 0o711

// lend puts a copy of an executable where plug-ins' users reach it.
func (h *Host) lend(program, sum string) (string, error) {
	bin := filepath.Join(h.sockets, "bin")
	for _, dir := range []string{h.sockets, bin} { // something may have cleared the system's folder for temporary files
		if err := os.Mkdir(dir, sharedMode); err == nil {
			err = os.Chmod(dir, sharedMode) // whatever the umask is
			if err != nil {
				return "", err
			}
		} else if !errors.Is(err, os.ErrExist) {
			return "", err
		}
		if info, err := os.Lstat(dir); err != nil || !info.IsDir() || !isRoots(info) || info.Mode().Perm() != sharedMode {
			return "", fmt.Errorf("%s is not the folder that it was: somebody else has made it; start the runtime again", dir)
		}
	}
	want, err := hex.DecodeString(sum)
	if err != nil {
		return "", err
	}
	target := filepath.Join(bin, filepath.Base(program))
	if _, err := os.Stat(target); err == nil {
		return target, nil // nobody but root can have put it there
	}
	if err := os.Chmod(program, executableMode); err != nil { // one of an earlier version had another mode
		return "", err
	}
	if os.Link(program, target) == nil {
		return target, nil
	}
	return target, copyExecutable(program, target, want)
}

// tenant is the user of a process that does not run under this process's.
type tenant struct {
	user       sandbox.User
	paths      []string // what it may read, as the configuration says
	unreadable []string // what of that it cannot read; known once it has been started
}

// become has the calling thread be the tenant.
func (t *tenant) become() error {
	if err := sandbox.Become(t.user); err != nil {
		return err
	}
	t.unreadable = sandbox.Unreadable(t.paths)
	return nil
}

// hand gives a process's folders to its user.
func (t *tenant) hand(dirs ...string) error {
	for _, dir := range dirs { // the outer one last: until then nobody else can reach into it
		if err := os.Lchown(dir, int(t.user.ID), int(t.user.ID)); err != nil {
			return err
		}
	}
	return nil
}

// user is whom a plug-in's processes run under, for people; unreadable is what they may not read although they are to.
func (h *Host) user(name string, unreadable []string) string {
	user, separate := h.users.of(h.o.Dir, name)
	switch {
	case !separate && os.Geteuid() == 0:
		return "root: " + h.users.why
	case !separate && os.Geteuid() < 0: // Windows
		return ""
	case !separate:
		return fmt.Sprint(os.Geteuid())
	case len(unreadable) > 0:
		return bounded(fmt.Sprintf("%d, who cannot read %s", user.ID, strings.Join(unreadable, ", ")), maxText)
	}
	return fmt.Sprint(user.ID)
}
