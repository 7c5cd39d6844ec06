package stubhost

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/protofly/protofly/core/stubhost/users"
)

// folders are the folders of a host: one for the copies of executables, and one that has a folder for each process.
type folders struct {
	dir       string // Options.Dir
	programs  string
	processes string
	elsewhere string // a file with the path of processes, where that is not below dir
	before    string // the path of processes of the host before this one, where that was not below dir
}

// makeFolders makes the folders in dir but the one of processes, and removes what a host that was killed has left there.
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
	err = f.clear() // sets f.before
	return f, err
}

// makeProcesses makes the folder of processes. Where its path would be too long for sockets, that is in the folder for
// temporary files.
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

// moveProcesses sets the folder of processes to one that is not below dir, and notes that for the next host.
func (f *folders) moveProcesses(at string) error {
	f.processes = at
	return os.WriteFile(f.elsewhere, []byte(at), 0o600)
}

// clear removes the folder of processes, and that of the host before this one where it was not below dir.
func (f *folders) clear() error {
	noted, err := os.ReadFile(f.elsewhere)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	errs := []error{os.RemoveAll(f.processes)}
	if at := string(noted); filepath.IsAbs(at) && strings.HasPrefix(filepath.Base(at), users.FolderPrefix) {
		errs = append(errs, os.RemoveAll(at))
		f.before = at // processes that its plug-ins have left behind have TMPDIR below it
	}
	if err == nil {
		errs = append(errs, os.Remove(f.elsewhere))
	}
	return errors.Join(errs...)
}
