package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// neededForUsers are the capabilities that a process needs to start, supervise and kill processes under other users' IDs.
var neededForUsers = []struct {
	capability int
	name       string
}{
	{unix.CAP_SETUID, "CAP_SETUID"}, {unix.CAP_SETGID, "CAP_SETGID"}, {unix.CAP_CHOWN, "CAP_CHOWN"}, {unix.CAP_KILL, "CAP_KILL"},
	{unix.CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE"}, {unix.CAP_SYS_PTRACE, "CAP_SYS_PTRACE"}, // ptrace: to read /proc/PID/environ
}

// fewProcesses is a limit of processes and threads that is too low for a plug-in. Every user but root has such a limit.
const fewProcesses = 1024

// MayBecome returns nil if this process may start others under any of the user IDs from first on, and these can open and run
// what is in dir. The error is a [*UserError].
func MayBecome(first uint32, dir string) error {
	if os.Geteuid() != 0 {
		return &UserError{Why: "the runtime does not run as root"}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return &UserError{Why: err.Error()}
	}
	var missing []string
	for _, n := range neededForUsers {
		if sets[0].Effective&(1<<n.capability) == 0 {
			missing = append(missing, n.name)
		}
	}
	if len(missing) > 0 {
		return &UserError{Why: "the runtime has not " + strings.Join(missing, ", ")}
	}
	var processes unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &processes); err != nil || processes.Cur < fewProcesses {
		return &UserError{Why: fmt.Sprintf("a user that is not root may have no more than %d processes and threads here (RLIMIT_NPROC)", processes.Cur)}
	}
	for _, id := range []uint32{first, first + UIDs - 1} {
		if err := os.Lchown(dir, int(id), int(id)); err != nil {
			return &UserError{Why: fmt.Sprintf("there is no user ID %d here: %v", id, err)}
		}
	}
	if err := os.Lchown(dir, 0, 0); err != nil {
		return &UserError{Why: err.Error()}
	}
	if err := usable(dir); err != nil {
		return err
	}
	if err := tryUser(User{ID: first}, sets[0].Permitted&(1<<unix.CAP_NET_BIND_SERVICE) != 0); err != nil {
		return &UserError{Why: err.Error()}
	}
	return nil
}

// tryUser changes a thread to the user: nothing else shows what a user namespace, a seccomp filter or a security module
// forbids. ports: this process may listen at ports below 1024, so the user must be able to.
func tryUser(u User, ports bool) (err error) {
	OnThread(func() {
		if err = become(u); err != nil || !ports {
			return
		}
		kept, errno := unix.PrctlRetInt(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_IS_SET, unix.CAP_NET_BIND_SERVICE, 0, 0)
		if errno != nil || kept != 1 {
			err = errors.New("the kernel, or what runs it, does not let them listen at ports below 1024 (ambient capabilities)")
		}
	})
	return err
}

// usable returns why other users could not open or run what is in dir.
func usable(dir string) error {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return &UserError{Why: err.Error()}
	}
	for at := real; at != "/"; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return &UserError{Why: err.Error()}
		}
		if info.Mode()&1 == 0 {
			return &UserError{Why: fmt.Sprintf("other users do not reach %s, where the plug-ins' folders would be; set TMPDIR", at)}
		}
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(real, &fs); err != nil {
		return &UserError{Why: err.Error()}
	}
	if fs.Flags&unix.ST_NOEXEC != 0 {
		return &UserError{Why: fmt.Sprintf("programs cannot be run in %s, where the plug-ins' programs would be (noexec); set TMPDIR", real)}
	}
	return nil
}

// Separate sets the calling thread, which has root's capabilities, and the attributes so that the thread starts processes under
// the user: without further groups, with no capability but to listen at ports below 1024, where this process has that, and
// without a way to get others. The thread is as [Confine] needs it; Separate is called first. This process makes no core dumps
// from then on.
//
// The thread stays root's, since a process of the user could signal a thread of the same user. It keeps only the capabilities
// that it needs to start such processes and to kill them.
func Separate(attributes *syscall.SysProcAttr, u User) error {
	if err := dropBounding(); err != nil {
		return fmt.Errorf("start as user %d: capabilities: %w", u.ID, err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("start as user %d: no new privileges: %w", u.ID, err)
	}
	kept, err := keepCapabilities(keptForUsers)
	if err != nil {
		return fmt.Errorf("start as user %d: capabilities: %w", u.ID, err)
	}
	attributes.Credential = &syscall.Credential{Uid: u.ID, Gid: u.ID}
	if kept&keptForPorts != 0 {
		attributes.AmbientCaps = []uintptr{unix.CAP_NET_BIND_SERVICE}
	}
	return nil
}

// become changes the calling thread to the user, with the rights of a process that [Separate] is for. The thread has to end
// afterwards.
func become(u User) error {
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"bounding capabilities", dropBounding},
		{"no new privileges", func() error { return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }},
		{"keep capabilities", func() error { return unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0) }},
		// The functions of package unix change all threads of a process; these system calls change one.
		{"groups", func() error { return thread(setGroups, 0, 0, 0) }},
		{"group", func() error { return thread(setGroup, uintptr(u.ID), uintptr(u.ID), uintptr(u.ID)) }},
		{"user", func() error { return thread(setUser, uintptr(u.ID), uintptr(u.ID), uintptr(u.ID)) }},
		{"capabilities", keepPorts},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("become user %d: %s: %w", u.ID, step.what, err)
		}
	}
	if real, effective, saved := unix.Getresuid(); real != int(u.ID) || effective != int(u.ID) || saved != int(u.ID) {
		return fmt.Errorf("become user %d: this thread's are %d, %d and %d", u.ID, real, effective, saved)
	}
	return nil
}

// assumeAccess gives the calling thread the user's access to files, and no more. Its real user stays root, so that processes of
// the user cannot signal it.
func assumeAccess(u User) error {
	const same = ^uintptr(0)
	for _, step := range []func() error{
		func() error { return thread(setGroups, 0, 0, 0) },
		func() error { return thread(setGroup, same, uintptr(u.ID), same) },
		func() error { return thread(setUser, same, uintptr(u.ID), same) }, // which takes the capabilities away too
	} {
		if err := step(); err != nil {
			return fmt.Errorf("reach what user %d reaches: %w", u.ID, err)
		}
	}
	return nil
}

func thread(call, a, b, c uintptr) error {
	if _, _, errno := unix.RawSyscall(call, a, b, c); errno != 0 {
		return errno
	}
	return nil
}

// keepPorts removes every capability of the thread but the one to listen at ports below 1024. It makes that one ambient: a
// program that a user other than root starts loses its capabilities otherwise.
func keepPorts() error {
	if has, err := keepCapabilities(keptForPorts); err != nil || has == 0 {
		return err
	}
	err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, unix.CAP_NET_BIND_SERVICE, 0, 0)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) {
		return nil // the kernel or the container does not allow it
	}
	return err
}
