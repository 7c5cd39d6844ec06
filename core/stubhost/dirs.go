package stubhost

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// maxSocketDir leaves room for what go-plugin appends, below the 104 bytes that every system allows a socket's path.
const maxSocketDir = 104 - len("/p1234567890/plugin-dir1234567890/plugin1234567890")

func (h *Host) makeDirs() error {
	dir, err := filepath.Abs(h.o.Dir)
	if err != nil {
		return err
	}
	h.o.Dir = dir
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o700); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	h.sockets = filepath.Join(dir, "s")
	h.elsewhere = filepath.Join(dir, "sockets")
	if err := h.clear(); err != nil { // of a host that was killed
		return err
	}
	if separated, err := h.separate(); separated || err != nil {
		return err
	}
	if len(h.sockets) <= maxSocketDir {
		return os.Mkdir(h.sockets, 0o700)
	}
	if h.sockets, err = os.MkdirTemp("", socketsPrefix); err != nil {
		return err
	}
	return os.WriteFile(h.elsewhere, []byte(h.sockets), 0o600)
}

// socketsPrefix begins the names of directories for sockets that would have too long a path in the host's own.
const socketsPrefix = "protofly-"

// clear removes the sockets, also those of a host before this one that had to put them elsewhere.
func (h *Host) clear() error {
	noted, err := os.ReadFile(h.elsewhere)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	errs := []error{os.RemoveAll(h.sockets)}
	if at := string(noted); filepath.IsAbs(at) && strings.HasPrefix(filepath.Base(at), socketsPrefix) {
		errs = append(errs, os.RemoveAll(at))
		h.family.before = at // what that host's plug-ins have left behind says that it comes from there
	}
	if err == nil {
		errs = append(errs, os.Remove(h.elsewhere))
	}
	return errors.Join(errs...)
}
