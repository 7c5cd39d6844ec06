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

// Tenant is the user of a process that does not run under this process's.
type Tenant struct {
	User    sandbox.User
	missing []sandbox.Lack // what the configuration names and it cannot read, nor could this process's user in its place
}

// tenantError says that a process could not be given to its user.
type tenantError struct{ err error }

func (e *tenantError) Error() string { return e.err.Error() }
func (e *tenantError) Unwrap() error { return e.err }

// Prepare gives the tenant the folders of its process, which the calling thread then starts under it by the command.
func (t *Tenant) Prepare(cmd *exec.Cmd, dirs ...string) error {
	for _, dir := range dirs { // the outer one last: until then nobody else can reach into it
		if err := os.Lchown(dir, int(t.User.ID), int(t.User.ID)); err != nil {
			return &tenantError{err}
		}
	}
	if err := sandbox.Separate(cmd.SysProcAttr, t.User); err != nil {
		return &tenantError{err}
	}
	return nil
}

// Identity is whom a process of a plug-in runs under.
type Identity struct {
	Path   string  // of the executable, where that user reaches it
	Tenant *Tenant // nil: this process's own user
	Why    string  // why it is that
}

// Program is what a plug-in's processes run, and need to read beside it.
type Program struct {
	Name   string // the plug-in's
	Path   string // of the private copy of its executable
	SHA256 string // of that, in hexadecimal
	Paths  string // files and folders, separated as in PATH
	Named  string // the same that it can read only where nothing confines it
}

// Identify finds out whom a process of the plug-in is to run under. Where the user of its own would lose what it needs, it is
// this process's, or an error where that may not be.
func (u *Users) Identify(program Program) (Identity, error) {
	own := Identity{Path: program.Path, Why: u.Why}
	user, separate := u.of(program.Name)
	if !separate {
		return own, nil
	}
	if err := u.checkFolders(); err != nil { // those of processes that have no user of their own are there too
		return own, fmt.Errorf("plug-in %s: %w", program.Name, err)
	}
	needs := sandbox.Needs{Search: os.Getenv("PATH"), Paths: filepath.SplitList(program.Paths), Confined: u.Confined}
	if !needs.Confined { // then it could have read whatever it is told of
		needs.Paths = append(needs.Paths, filepath.SplitList(program.Named)...)
	}
	lent, err := u.lend(program.Path, program.SHA256)
	if err == nil {
		var lost, missing []sandbox.Lack
		needs.Program = lent
		if lost, missing, err = sandbox.Lacks(user, needs); err == nil && len(lost) == 0 {
			return Identity{Path: lent, Tenant: &Tenant{User: user, missing: missing}}, nil
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

// NotGiven tells whether a process was not started because it has a user of its own: the system has not such a user, or
// does not let it run the program. Nothing that a plug-in does leads to that.
func NotGiven(err error) bool {
	start, mine := new(failure.StartError), new(tenantError)
	return errors.As(err, &mine) ||
		errors.As(err, &start) && start.Reason == failure.NotRunning && (errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.EINVAL))
}

// String is the user, for people: its ID, and what it cannot read; or "root: …", why it is none of the plug-in's own.
func (as Identity) String() string {
	switch {
	case os.Geteuid() < 0: // Windows
		return ""
	case as.Tenant == nil && os.Geteuid() == 0:
		return "root: " + as.Why
	case as.Tenant == nil:
		return fmt.Sprint(os.Geteuid())
	case len(as.Tenant.missing) > 0:
		return failure.Text(fmt.Sprintf("%d, as root could not either: %s", as.Tenant.User.ID, sandbox.Describe(as.Tenant.missing)), failure.MaxText)
	}
	return fmt.Sprint(as.Tenant.User.ID)
}

// Noteworthy tells whether an operator should know of it: where other plug-ins have users of their own and this one has not,
// or where that user cannot read what the configuration names.
func (u *Users) Noteworthy(as Identity) bool {
	return u.First != 0 && (as.Tenant == nil || len(as.Tenant.missing) > 0)
}

// Usual is the identity that a plug-in's processes would have if they needed nothing: what is said of one that has no process.
func (u *Users) Usual(name string) Identity {
	as := Identity{Why: u.Why}
	if user, separate := u.of(name); separate {
		as.Tenant = &Tenant{User: user}
	}
	return as
}
