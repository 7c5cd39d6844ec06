package stubhost

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/protofly/protofly/core/stubhost/descendants"
	"github.com/protofly/protofly/core/stubhost/executable"
	"github.com/protofly/protofly/core/stubhost/failure"
	"github.com/protofly/protofly/core/stubhost/process"
	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/core/stubhost/users"
	"github.com/protofly/protofly/internal/busypoll"
	"github.com/protofly/protofly/internal/link"
)

// launcher starts the processes of all plug-ins of a host, and has what these processes share.
type launcher struct {
	o             Options
	ctx           context.Context // ends when everything has to
	closeDeadline context.Context // ends when Close has no time left to wait for plug-ins
	wg            sync.WaitGroup
	folders       folders
	confined      string // what confines the processes; "": nothing does
	unconfined    string // why nothing does
	users         users.Users
	descendants   descendants.Tracker
	store         *executable.Store
	waits         process.Waits
}

// newLauncher kills the processes that an earlier host has left behind, and finds out how processes can be confined.
func newLauncher(ctx, closeDeadline context.Context, o Options) (*launcher, error) {
	l := &launcher{o: o, ctx: ctx, closeDeadline: closeDeadline, waits: process.Waits{Exit: time.Second, Read: time.Second, Clear: 2 * time.Second}}
	if err := l.confine(); err != nil {
		return nil, err
	}
	var err error
	if l.folders, err = makeFolders(o.Dir); err != nil {
		return nil, err
	}
	l.o.Dir, l.store = l.folders.dir, executable.NewStore(l.folders.programs)
	if err := l.separate(); err != nil {
		return nil, err
	}
	l.descendants.Reaper, l.descendants.Root, l.descendants.OldRoot = o.Reaper, l.folders.processes, l.folders.before
	if !l.descendants.Clear(closeDeadline, l.waits.Clear) { // of a host that was killed
		return nil, fmt.Errorf("plug-ins of an earlier runtime do not end; kill the processes that have TMPDIR below %s", l.folders.processes)
	}
	if o.Reaper {
		if err := descendants.BecomeReaper(); err != nil {
			return nil, err
		}
		l.wg.Go(func() { l.descendants.Sweep(ctx) })
	}
	return l, nil
}

// Separable returns nil if a host with these options would run plug-ins under dedicated user IDs, else why not. It leaves no
// files behind.
func Separable(u sandbox.Users, confined sandbox.Mode) error { return users.Separable(u, confined) }

// confine finds out how processes can be confined on this machine, and logs it where they cannot.
func (l *launcher) confine() (err error) {
	if l.o.Sandbox == sandbox.Off {
		l.unconfined = "it is switched off"
		l.o.Log.Warn("plug-ins are not confined: they may do what this process's user may", "reason", l.unconfined)
		return nil
	}
	l.confined, err = sandbox.Available()
	if err == nil {
		return nil
	}
	if l.o.Sandbox == sandbox.Required {
		return fmt.Errorf("%w, and the configuration requires it", err)
	}
	l.unconfined = err.Error()
	var why *sandbox.UnavailableError
	if errors.As(err, &why) {
		l.unconfined = why.Why
	}
	l.o.Log.Warn("plug-ins are not confined: they may do what this process's user may", "reason", l.unconfined)
	return nil
}

// separate finds out whether plug-ins run under dedicated user IDs, and makes the folder of processes accordingly. It logs
// where the host runs as root and they do not.
func (l *launcher) separate() error {
	l.users.Dir, l.users.Confined = l.o.Dir, l.confined != ""
	separated, err := l.users.Separate(l.o.Users, l.o.Sandbox)
	if err != nil {
		return err
	}
	if separated {
		return l.folders.moveProcesses(l.users.Shared)
	}
	if os.Geteuid() == 0 {
		l.o.Log.Warn("plug-ins run as root, not under user IDs of their own", "reason", l.users.Why)
	}
	return l.folders.makeProcesses()
}

// launch starts a process of the plug-in under its user, and opens its link. Where the system refuses to start it under the
// dedicated user, it starts it under the host's, unless the options forbid that.
func (l *launcher) launch(ctx context.Context, spec Plugin) (*process.Process, error) {
	program, err := l.executable(spec)
	if err != nil {
		return nil, err
	}
	as, err := l.users.Identify(users.Program{Name: spec.Name, Path: program, SHA256: spec.SHA256, Paths: spec.Paths, Named: spec.Named})
	if err != nil {
		return nil, err
	}
	pr, err := process.Start(ctx, l.process(spec, as))
	if err != nil && as.Dedicated != nil && !l.users.Strict && ctx.Err() == nil && users.UserRefused(err) {
		why := fmt.Sprintf("it does not start as user %d: %v", as.Dedicated.User.ID, err)
		as = users.Identity{Path: program, Why: failure.Text(why, failure.MaxText)}
		pr, err = process.Start(ctx, l.process(spec, as))
	}
	return pr, err
}

// executable returns the path of a private copy of the plug-in's executable, with the checksum that it was installed with.
func (l *launcher) executable(spec Plugin) (string, error) {
	return l.store.Get(spec.Name, spec.Path, spec.SHA256)
}

// process returns the options that a process of the plug-in is started with.
func (l *launcher) process(spec Plugin, as users.Identity) process.Options {
	o := &l.o
	p := process.Options{
		Name: spec.Name, As: as, Folder: l.folders.processes, Env: l.environment(), Poll: o.Poll, Quota: o.Quota,
		Log: o.Log, Descendants: &l.descendants,
		StartTimeout: o.StartTimeout, StopGrace: o.StopGrace, Health: o.Health, Waits: l.waits, CloseDeadline: l.closeDeadline,
	}
	if l.confined != "" {
		p.Policy = &sandbox.Policy{Paths: filepath.SplitList(spec.Paths), Search: os.Getenv("PATH"),
			Keep: append([]string{o.Dir}, o.Secret...)}
	}
	return p
}

// environment returns a plug-in's environment, without the variables that name its folder. It passes on only some of this
// process's variables, since others may hold secrets.
func (l *launcher) environment() (env []string) {
	for _, name := range []string{"PATH", "LANG", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "GOMAXPROCS", "GOGC", "GOMEMLIMIT"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	if l.confined != "" && os.Getenv("GOMAXPROCS") == "" { // a confined Go program cannot read its CPU limit in /proc
		env = append(env, fmt.Sprintf("GOMAXPROCS=%d", max(1, runtime.GOMAXPROCS(0)/2)))
	}
	env = append(env, link.LogLevelVariable+"="+l.o.LogLevel, busypoll.Variable+"="+l.o.Poll.String())
	return append(env, l.o.Env...)
}
