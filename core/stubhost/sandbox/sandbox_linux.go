package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// What every process may read: programs and libraries, certificates, and files and sockets for resolving names; but no secrets
// of the system (/etc/shadow, /etc/ssl/private).
const (
	systemDirs = "/usr /bin /sbin /lib /lib32 /lib64 /libx32 /nix/store /gnu/store " +
		"/etc/ssl/certs /etc/pki/tls/certs /etc/pki/ca-trust/extracted /etc/ca-certificates /etc/ld.so.conf.d /etc/alternatives " +
		"/run/systemd/resolve /run/resolvconf /run/connman /run/nscd /var/run/nscd " +
		"/proc/sys/net /sys/devices/system/cpu /sys/kernel/mm/transparent_hugepage"
	systemFiles = "/etc/resolv.conf /etc/hosts /etc/host.conf /etc/nsswitch.conf /etc/gai.conf /etc/services /etc/protocols " +
		"/etc/localtime /etc/timezone /etc/passwd /etc/group /etc/ld.so.cache /etc/ld.so.conf /etc/ld.so.preload " +
		"/etc/ssl/cert.pem /etc/ssl/ca-bundle.pem /etc/ssl/openssl.cnf /etc/pki/tls/cert.pem /etc/pki/tls/openssl.cnf " +
		"/dev/random /dev/urandom /proc/cpuinfo /proc/meminfo"
	devices   = "/dev/null /dev/zero /dev/full"
	resolvers = "/run/systemd/resolve /run/nscd /var/run/nscd" // sockets of name services
)

// Available says what confines processes on this machine, such as "landlock 7, seccomp". The error is an [*UnavailableError].
func Available() (string, error) {
	abi, err := ll.LandlockGetABIVersion()
	switch {
	case errors.Is(err, unix.ENOSYS):
		return "", &UnavailableError{Why: "the kernel has no Landlock"}
	case errors.Is(err, unix.EOPNOTSUPP):
		return "", &UnavailableError{Why: "the kernel has Landlock switched off (lsm=)"}
	case err != nil || abi < 1:
		return "", &UnavailableError{Why: fmt.Sprintf("Landlock: %v", err)}
	}
	what := fmt.Sprintf("landlock %d", abi)
	if filterable {
		what += ", seccomp"
	}
	return what, nil
}

// Confine confines the calling thread, and so every process that it starts. It cannot be undone: the caller has
// locked its goroutine to the thread and never unlocks it, so that the thread ends with the goroutine. The thread must not be
// the process's first one.
func Confine(p Policy) error {
	rules, err := p.rules()
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	all := landlock.V9
	handled := landlock.Config{HandledAccessFS: all.HandledAccessFS, Scoped: all.Scoped}
	fd, flags, err := handled.BestEffort().NewRulesetFD(rules...)
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	if fd < 0 {
		return fmt.Errorf("sandbox: %w", &UnavailableError{Why: "the kernel has no Landlock"})
	}
	defer unix.Close(fd)
	kept := uint32(keptForPorts)
	if p.Separate {
		kept = keptForUsers // the capabilities that [Separate] has left
	}
	if err := dropBounding(); err != nil {
		return fmt.Errorf("sandbox: capabilities: %w", err)
	}
	if _, err := keepCapabilities(kept); err != nil {
		return fmt.Errorf("sandbox: capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("sandbox: no new privileges: %w", err)
	}
	if err := ll.LandlockRestrictSelf(fd, flags); err != nil {
		return fmt.Errorf("sandbox: Landlock: %w", err)
	}
	if err := filter(p.NoSockets); err != nil {
		return fmt.Errorf("sandbox: seccomp: %w", err)
	}
	return nil
}

// rules returns the Landlock rules of the policy.
func (p Policy) rules() ([]landlock.Rule, error) {
	own := landlock.RWDirs(p.Dir).WithResolveUnix()
	if abi, err := ll.LandlockGetABIVersion(); err == nil && abi > 1 {
		own = own.WithRefer()
	}
	rules := []landlock.Rule{own, landlock.ROFiles(p.Program)}
	paths := append(strings.Fields(systemDirs), strings.Fields(systemFiles)...)
	paths = append(paths, os.Getenv("SSL_CERT_FILE"))
	paths = append(paths, filepath.SplitList(os.Getenv("SSL_CERT_DIR"))...)
	paths = append(paths, homes(interpreters(p.Program, p.Search), p.Keep)...)
	for _, path := range paths {
		if rule, ok := readable(path); ok {
			rules = append(rules, rule)
		}
	}
	for _, path := range p.Paths {
		if rule, ok := readable(path); ok {
			rules = append(rules, rule.WithResolveUnix())
		}
	}
	for _, path := range strings.Fields(devices) {
		if _, err := os.Stat(path); err == nil {
			rules = append(rules, landlock.RWFiles(path))
		}
	}
	for _, path := range strings.Fields(resolvers) {
		if rule, ok := readable(path); ok {
			rules = append(rules, rule.WithResolveUnix())
		}
	}
	if _, err := os.Stat(p.Dir); err != nil {
		return nil, err
	}
	return rules, nil
}

// readable returns the rule to read a path, if it exists.
func readable(path string) (landlock.FSRule, bool) {
	info, err := os.Stat(path)
	if path == "" || err != nil {
		return landlock.FSRule{}, false
	}
	if info.IsDir() {
		return landlock.RODirs(path).IgnoreIfMissing(), true
	}
	return landlock.ROFiles(path).IgnoreIfMissing(), true
}

// The capabilities that a thread keeps: the one to listen at ports below 1024, which its processes have too; and those to start
// processes under other users and to kill them, which these processes lose when they change users.
const (
	keptForPorts = 1 << unix.CAP_NET_BIND_SERVICE
	keptForUsers = keptForPorts | 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID | 1<<unix.CAP_KILL
)

// keepCapabilities removes all capabilities of the thread but those, which are among the first 32. It returns which of them the
// thread has.
func keepCapabilities(those uint32) (has uint32, err error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return 0, err
	}
	has = sets[0].Permitted & those
	inherited := has & keptForPorts
	sets = [2]unix.CapUserData{{Effective: has, Permitted: has, Inheritable: inherited}}
	return has, unix.Capset(&header, &sets[0])
}

// dropBounding removes from the bounding set what the thread does not keep, so that what it starts cannot get it.
func dropBounding() error {
	for c := uintptr(0); c <= 63; c++ {
		if c == unix.CAP_NET_BIND_SERVICE {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); errors.Is(err, unix.EINVAL) {
			break // the kernel has no more
		} else if err != nil && !errors.Is(err, unix.EPERM) { // a thread without CAP_SETPCAP has no more capabilities to lose
			return err
		}
	}
	return nil
}

// Conceal prevents processes of the same user from reading this process's memory, environment and open files. This process makes
// no core dumps then.
func Conceal() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("conceal this process: %w", err)
	}
	return nil
}
