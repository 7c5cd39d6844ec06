package stubhost

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/protofly/protofly/core/stubhost/users"
)

// folders are a host's: of the copies of executables, and of the folders of processes, with their sockets.
type folders struct {
	dir       string // Options.Dir
	programs  string
	processes string
	elsewhere string // the file that says where processes is when it is not below dir
	before    string // where it was with the host before this one, if that was elsewhere
}

// makeFolders makes those in dir, and removes what a host that was killed has left there. That of the processes is named only.
func makeFolders(dir string) (f folders, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return f, err
	}
	f = folders{dir: dir, programs: filepath.Join(dir, "bin"), processes: filepath.Join(dir, "s"), elsewhere: filepath.Join(dir, "sockets")}
	if err := os.MkdirAll(f.programs, 0o700); err != nil {
		return f, err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return f, err
	}
	err = f.clear() // which notes something in f
	return f, err
}

// makeProcesses makes the folder of processes: in that for temporary files where it would have too long a path else.
func (f *folders) makeProcesses() (err error) {
	if len(f.processes) <= users.MaxFolder {
		return os.Mkdir(f.processes, 0o700)
	}
	at, err := os.MkdirTemp("", users.FolderPrefix)
	if err != nil {
		return err
	}
	return f.moveProcesses(at)
}

// moveProcesses notes that the folder of processes is elsewhere.
func (f *folders) moveProcesses(at string) error {
	f.processes = at
	return os.WriteFile(f.elsewhere, []byte(at), 0o600)
}

// clear removes the folder of processes, also that of a host before this one that had to have it elsewhere.
func (f *folders) clear() error {
	noted, err := os.ReadFile(f.elsewhere)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	errs := []error{os.RemoveAll(f.processes)}
	if at := string(noted); filepath.IsAbs(at) && strings.HasPrefix(filepath.Base(at), users.FolderPrefix) {
		errs = append(errs, os.RemoveAll(at))
		f.before = at // what that host's plug-ins have left behind says that it comes from there
	}
	if err == nil {
		errs = append(errs, os.Remove(f.elsewhere))
	}
	return errors.Join(errs...)
}
