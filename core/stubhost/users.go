package stubhost

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/protofly/protofly/core/stubhost/sandbox"
)

// users is which user each plug-in's processes run under. The IDs are derived from the host's folder and the plug-in's name:
// plug-ins of several runtimes on a machine have others too.
type users struct {
	first  uint32 // of the range; 0: all run under this process's own
	why    string // why they do
	strict bool   // none of them may

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
	dir, first, err := usersFolder(h.o.Users, h.o.Sandbox)
	if err == nil {
		h.users.first, h.users.strict, h.sockets = first, h.o.Users.Mode == sandbox.Required, dir
		return true, os.WriteFile(h.elsewhere, []byte(dir), 0o600)
	}
	if h.o.Users.Mode == sandbox.Required {
		return false, fmt.Errorf("%w, and the configuration requires it (plugins.uids)", err)
	}
	h.users.why = err.Error()
	if unable := new(sandbox.UserError); errors.As(err, &unable) {
		h.users.why = unable.Why
	}
	if os.Geteuid() == 0 {
		h.o.Log.Warn("plug-ins run as root, not under user IDs of their own", "reason", h.users.why)
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

// checkFolders makes sure that the folders which are in that for temporary files are there, and this host's.
func (h *Host) checkFolders() error {
	for _, dir := range []string{h.sockets, filepath.Join(h.sockets, "bin")} { // something may have cleared it
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
func (h *Host) lend(program, sum string) (string, error) {
	want, err := hex.DecodeString(sum)
	if err != nil {
		return "", err
	}
	target := filepath.Join(h.sockets, "bin", filepath.Base(program))
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
	user    sandbox.User
	missing []sandbox.Lack // what the configuration names and it cannot read, nor could this process's user in its place
}

// tenantError says that a process could not be given to its user.
type tenantError struct{ err error }

func (e *tenantError) Error() string { return e.err.Error() }
func (e *tenantError) Unwrap() error { return e.err }

// prepare gives the tenant the folders of its process, which the calling thread then starts under it by the command.
func (t *tenant) prepare(cmd *exec.Cmd, dirs ...string) error {
	for _, dir := range dirs { // the outer one last: until then nobody else can reach into it
		if err := os.Lchown(dir, int(t.user.ID), int(t.user.ID)); err != nil {
			return &tenantError{err}
		}
	}
	if err := sandbox.Separate(cmd.SysProcAttr, t.user); err != nil {
		return &tenantError{err}
	}
	return nil
}

// identity is whom a process of a plug-in runs under.
type identity struct {
	path   string  // of the executable, where that user reaches it
	tenant *tenant // nil: this process's own user
	why    string  // why it is that
}

// identify finds out whom a process of the plug-in is to run under. program is the private copy of its executable. Where the
// user of its own would lose what it needs, it is this process's, or an error where that may not be.
func (h *Host) identify(spec Plugin, program string) (identity, error) {
	own := identity{path: program, why: h.users.why}
	user, separate := h.users.of(h.o.Dir, spec.Name)
	if !separate {
		return own, nil
	}
	if err := h.checkFolders(); err != nil { // those of processes that have no user of their own are there too
		return own, fmt.Errorf("plug-in %s: %w", spec.Name, err)
	}
	needs := sandbox.Needs{Search: os.Getenv("PATH"), Paths: filepath.SplitList(spec.Paths), Confined: h.sandbox != ""}
	if !needs.Confined { // then it could have read whatever it is told of
		needs.Paths = append(needs.Paths, filepath.SplitList(spec.Named)...)
	}
	lent, err := h.lend(program, spec.SHA256)
	if err == nil {
		var lost, missing []sandbox.Lack
		needs.Program = lent
		if lost, missing, err = sandbox.Lacks(user, needs); err == nil && len(lost) == 0 {
			return identity{path: lent, tenant: &tenant{user: user, missing: missing}}, nil
		}
		if err == nil {
			own.why = bounded(sandbox.Describe(lost)+"; then: protofly plugins reload "+spec.Name, maxText)
		}
	}
	if err != nil {
		own.why = bounded(err.Error(), maxText)
	}
	if h.users.strict {
		return own, &StartError{Plugin: spec.Name, Reason: Unseparated, Detail: own.why + " (or plugins.uids: auto, which has it run as root)", Err: err}
	}
	return own, nil
}

// launch starts a process of the plug-in, opens its link and has it run under the user that it is to run under. Where the
// system does not do that, it is this process's user, unless that may not be.
func (p *plugin) launch(ctx context.Context, spec Plugin) (*process, error) {
	program, err := p.executable(spec)
	if err != nil {
		return nil, err
	}
	as, err := p.host.identify(spec, program)
	if err != nil {
		return nil, err
	}
	pr, err := p.launchAs(ctx, spec, as)
	if err != nil && as.tenant != nil && !p.host.users.strict && ctx.Err() == nil && notGiven(err) {
		as = identity{path: program, why: bounded(fmt.Sprintf("it does not start as user %d: %v", as.tenant.user.ID, err), maxText)}
		pr, err = p.launchAs(ctx, spec, as)
	}
	if err == nil {
		p.tellUser(as)
	}
	return pr, err
}

// notGiven tells whether a process was not started because it has a user of its own: the system has not such a user, or
// does not let it run the program. Nothing that a plug-in does leads to that.
func notGiven(err error) bool {
	start, mine := new(StartError), new(tenantError)
	return errors.As(err, &mine) ||
		errors.As(err, &start) && start.Reason == NotRunning && (errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.EINVAL))
}

// tellUser says once why a plug-in has no user of its own where others have, or what that cannot read.
func (p *plugin) tellUser(as identity) {
	p.mu.Lock()
	defer p.mu.Unlock()
	told := as.text()
	if p.host.users.first != 0 && told != p.told && (as.tenant == nil || len(as.tenant.missing) > 0) {
		p.host.o.Log.Warn("the plug-in's user", "plugin", p.name, "user", told)
	}
	p.told = told
}

// text is the user, for people.
func (as identity) text() string {
	switch {
	case os.Geteuid() < 0: // Windows
		return ""
	case as.tenant == nil && os.Geteuid() == 0:
		return "root: " + as.why
	case as.tenant == nil:
		return fmt.Sprint(os.Geteuid())
	case len(as.tenant.missing) > 0:
		return bounded(fmt.Sprintf("%d, as root could not either: %s", as.tenant.user.ID, sandbox.Describe(as.tenant.missing)), maxText)
	}
	return fmt.Sprint(as.tenant.user.ID)
}

// userText is whom a plug-in's processes run under, for people. p.mu is held.
func (p *plugin) userText() string {
	if p.proc != nil {
		return p.proc.as.text()
	}
	as := identity{why: p.host.users.why}
	if user, separate := p.host.users.of(p.host.o.Dir, p.name); separate {
		as.tenant = &tenant{user: user}
	}
	return as.text()
}
