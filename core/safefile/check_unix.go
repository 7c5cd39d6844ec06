//go:build unix

package safefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// open opens a file to read it. Where the path is a pipe it does not wait for the other end.
func open(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
}

// owner returns the user and the group of a file, -1 if the system does not tell, and its device.
func owner(info fs.FileInfo) (uid, gid int, device uint64) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid), int(st.Gid), uint64(st.Dev) //nolint:unconvert // its type is another on other systems
	}
	return -1, -1, 0
}

// mine tells whether uid is this process's user, or root's, who can change everything in any case.
func mine(uid int) bool { return uid == os.Geteuid() || uid == 0 }

// unmapped is the owner of the system's folders as a user namespace shows it that does not have their user.
const unmapped = 65534

func checkFile(path string, info fs.FileInfo, secret bool) error {
	uid, _, _ := owner(info)
	if !mine(uid) {
		if folder, err := os.Stat(filepath.Dir(path)); os.Geteuid() != 0 || err != nil || !sameOwner(folder, uid) {
			return exposed("%s belongs to the user %d, not to %d: somebody else could have written it; if they have not, run chown %d on it",
				path, uid, os.Geteuid(), os.Geteuid())
		}
	}
	switch mode := info.Mode().Perm(); {
	case secret && mode&0o077 != 0:
		return exposed("%s has mode %#o: others may read it; if nobody has, run chmod 600 on it", path, mode)
	case mode&0o022 != 0:
		return exposed("%s has mode %#o: others may change it; if nobody has, run chmod go-w on it", path, mode)
	}
	return nil
}

// exposed makes an [ErrExposed] with a text of its own.
func exposed(format string, args ...any) error {
	return exposedError(fmt.Sprintf(format, args...))
}

type exposedError string

func (e exposedError) Error() string { return string(e) }

func (e exposedError) Is(target error) bool { return target == ErrExposed }

func sameOwner(info fs.FileInfo, uid int) bool {
	of, _, _ := owner(info)
	return of == uid
}

// CheckFolder fails where another user could put a file into the folder, or another folder in its place. The folder must belong to
// this process's user or to root, and only its owner may write in it. In the folders above it their owner and this process's group
// may write, and others too where they are sticky. The error says what to do and wraps [ErrExposed].
//
// There are warnings instead where it may be what the operator wants: root uses another user's folder, or everybody may write in a
// mounted volume, as in containers.
func CheckFolder(dir string) (warnings []string, err error) {
	if dir, err = resolved(dir); err != nil {
		return nil, err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	uid, _, _ := owner(info)
	switch mode := info.Mode().Perm(); {
	case !info.IsDir():
		return nil, fmt.Errorf("%s is no folder", dir)
	case mode&0o022 != 0:
		return nil, exposed("folder %s has mode %#o: others could put their own files there; if nobody has, run chmod 700 on it", dir, mode)
	case !mine(uid) && os.Geteuid() != 0:
		return nil, exposed("folder %s belongs to the user %d, not to %d: choose one of your own, or run chown -R %d on it", dir, uid, os.Geteuid(), os.Geteuid())
	case !mine(uid):
		warnings = append(warnings, fmt.Sprintf("folder %s belongs to the user %d, who can change what is in it", dir, uid))
	}
	above, err := checkAllAbove(dir)
	return append(warnings, above...), err
}

// CheckPlace is CheckFolder for a folder that several users share. It may be sticky, as /tmp is: everybody may put files there, and
// nobody can change another user's.
func CheckPlace(dir string) (warnings []string, err error) {
	if dir, err = resolved(dir); err != nil {
		return nil, err
	}
	warning, err := checkAbove(dir)
	if err != nil {
		return nil, err
	}
	if warning != "" {
		warnings = append(warnings, warning)
	}
	above, err := checkAllAbove(dir)
	return append(warnings, above...), err
}

func resolved(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}

func checkAllAbove(dir string) (warnings []string, err error) {
	for below, at := dir, filepath.Dir(dir); at != below; below, at = at, filepath.Dir(at) {
		warning, err := checkAbove(at)
		if err != nil {
			return warnings, err
		}
		if warning != "" {
			warnings = append(warnings, warning)
		}
	}
	return warnings, nil
}

// checkAbove checks a folder above the one that must be safe: a user who may write in it can replace that one.
func checkAbove(dir string) (warning string, err error) {
	info, err := os.Stat(dir)
	if err != nil {
		return "", err
	}
	uid, gid, device := owner(info)
	mode := info.Mode()
	others := mode.Perm()&0o002 != 0 || mode.Perm()&0o020 != 0 && gid != os.Getegid() && gid != 0
	var what string
	switch {
	case others && mode&fs.ModeSticky == 0:
		what = fmt.Sprintf("others can write in the folder %s (mode %#o), and so put another one in the place of what is in it", dir, mode.Perm())
	case !mine(uid) && uid != unmapped:
		what = fmt.Sprintf("the folder %s belongs to the user %d, who could put another one in the place of what is in it", dir, uid)
	default:
		return "", nil
	}
	if above, err := os.Stat(filepath.Dir(dir)); err == nil {
		if _, _, other := owner(above); other != device { // a volume that the operator has mounted
			return what, nil
		}
	}
	if !mine(uid) && os.Geteuid() == 0 {
		return what, nil
	}
	return "", exposed("%s: run chmod go-w on it", what)
}

// SyncFolder writes the names in a folder to the disk, so that they outlive a crash of the machine. It is no error where the file
// system cannot do that.
func SyncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil
	}
	return errors.Join(err, f.Close())
}
