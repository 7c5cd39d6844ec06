package users

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/protofly/protofly/core/stubhost/failure"
	"github.com/protofly/protofly/core/stubhost/sandbox"
)

// Dedicated is a dedicated user, under which a process of a plug-in runs.
type Dedicated struct {
	User    sandbox.User
	missing []sandbox.Lack // that the configuration names and neither the dedicated user nor this process's user can read
}

// dedicatedError says that a process could not be started under its dedicated user.
type dedicatedError struct{ err error }

func (e *dedicatedError) Error() string { return e.err.Error() }
func (e *dedicatedError) Unwrap() error { return e.err }

// Prepare gives the user the folders of its process, and sets cmd so that the calling thread starts the process under that user.
func (t *Dedicated) Prepare(cmd *exec.Cmd, dirs ...string) error {
	for _, dir := range dirs { // the outer one last: until then no other user can open what is in it
		if err := os.Lchown(dir, int(t.User.ID), int(t.User.ID)); err != nil {
			return &dedicatedError{err}
		}
	}
	if err := sandbox.Separate(cmd.SysProcAttr, t.User); err != nil {
		return &dedicatedError{err}
	}
	return nil
}

// Identity is the user that a process of a plug-in runs under.
type Identity struct {
	Path      string     // of the executable, where that user can run it
	Dedicated *Dedicated // nil: it runs under this process's user
	Why       string     // why it has no dedicated user
}

// Program is the executable of a plug-in, and what its processes need to read beside it.
type Program struct {
	Name   string // the plug-in's
	Path   string // of the private copy of its executable
	SHA256 string // of that, in hexadecimal
	Paths  string // files and folders, separated as in PATH
	Named  string // the same for what it can read only where it is not confined
}

// Identify finds out the user that a process of the plug-in runs under. Where the dedicated user cannot read what the plug-in
// needs, that is this process's user, or an error where [Users.Strict] is set.
func (u *Users) Identify(program Program) (Identity, error) {
	own := Identity{Path: program.Path, Why: u.Why}
	user, separate := u.of(program.Name)
	if !separate {
		return own, nil
	}
	if err := u.checkFolders(); err != nil { // processes without a dedicated user have their folders there too
		return own, fmt.Errorf("plug-in %s: %w", program.Name, err)
	}
	needs := sandbox.Needs{Search: os.Getenv("PATH"), Paths: filepath.SplitList(program.Paths), Confined: u.Confined}
	if !needs.Confined { // not confined, it can read whatever its configuration names
		needs.Paths = append(needs.Paths, filepath.SplitList(program.Named)...)
	}
	lent, err := u.shareCopy(program.Path, program.SHA256)
	if err == nil {
		var lost, missing []sandbox.Lack
		needs.Program = lent
		if lost, missing, err = sandbox.Lacks(user, needs); err == nil && len(lost) == 0 {
			return Identity{Path: lent, Dedicated: &Dedicated{User: user, missing: missing}}, nil
		}
		if err == nil {
			own.Why = failure.Text(sandbox.Describe(lost)+"; then: protofly plugins reload "+program.Name, failure.MaxText)
		}
	}
	if err != nil {
		own.Why = failure.Text(err.Error(), failure.MaxText)
	}
	if u.Strict {
		return own, &failure.StartError{Plugin: program.Name, Reason: failure.Unseparated, Detail: own.Why + " (or plugins.uids: auto, which has it run as root)", Err: err}
	}
	return own, nil
}

// UserRefused tells whether a start failed because of the dedicated user: the system has no such user, or
// does not let it run the program. A plug-in cannot cause that.
func UserRefused(err error) bool {
	start, mine := new(failure.StartError), new(dedicatedError)
	return errors.As(err, &mine) ||
		errors.As(err, &start) && start.Reason == failure.NotRunning && (errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.EINVAL))
}

// String describes the user for the status: its ID, and what it cannot read; or "root: …" and why it has no dedicated one.
func (as Identity) String() string {
	switch {
	case os.Geteuid() < 0: // Windows
		return ""
	case as.Dedicated == nil && os.Geteuid() == 0:
		return "root: " + as.Why
	case as.Dedicated == nil:
		return fmt.Sprint(os.Geteuid())
	case len(as.Dedicated.missing) > 0:
		return failure.Text(fmt.Sprintf("%d, as root could not either: %s", as.Dedicated.User.ID, sandbox.Describe(as.Dedicated.missing)), failure.MaxText)
	}
	return fmt.Sprint(as.Dedicated.User.ID)
}

// Noteworthy tells whether an operator should know of it: other plug-ins have dedicated users and this one has not,
// or its user cannot read what the configuration names.
func (u *Users) Noteworthy(as Identity) bool {
	return u.First != 0 && (as.Dedicated == nil || len(as.Dedicated.missing) > 0)
}

// Usual is the identity of a plug-in that needs no files. The status has it for plug-ins that have no process.
func (u *Users) Usual(name string) Identity {
	as := Identity{Why: u.Why}
	if user, separate := u.of(name); separate {
		as.Dedicated = &Dedicated{User: user}
	}
	return as
}
