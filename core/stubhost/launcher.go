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

	"github.com/protofly/protofly/core/stubhost/executable"
	"github.com/protofly/protofly/core/stubhost/failure"
	"github.com/protofly/protofly/core/stubhost/family"
	"github.com/protofly/protofly/core/stubhost/process"
	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/core/stubhost/users"
	"github.com/protofly/protofly/internal/busypoll"
	"github.com/protofly/protofly/internal/link"
)

// launcher starts the processes of every plug-in of a host. It has what they share.
type launcher struct {
	o          Options
	ctx        context.Context // ends when everything has to
	late       context.Context // ends when Close has no time left to wait for plug-ins
	wg         sync.WaitGroup
	folders    folders
	confined   string // what confines the processes; "": nothing does
	unconfined string // why nothing does
	users      users.Users
	family     family.Family
	store      *executable.Store
	waits      process.Waits
}

// newLauncher ends what an earlier host has left behind, and finds out what there is to confine the processes.
func newLauncher(ctx, late context.Context, o Options) (*launcher, error) {
	l := &launcher{o: o, ctx: ctx, late: late, waits: process.Waits{Exit: time.Second, Read: time.Second, Clear: 2 * time.Second}}
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
	l.family.Reaper, l.family.Below, l.family.Before = o.Reaper, l.folders.processes, l.folders.before
	if !l.family.Clear(late, l.waits.Clear) { // of a host that was killed
		return nil, fmt.Errorf("processes that an earlier one has left behind do not end; their TMPDIR is in %s", l.folders.processes)
	}
	if o.Reaper {
		if err := family.BecomeReaper(); err != nil {
			return nil, err
		}
		l.wg.Go(func() { l.family.Sweep(ctx) })
	}
	return l, nil
}

// Separable tells whether a host with these options would run plug-ins under user IDs of their own. It leaves nothing behind.
func Separable(u sandbox.Users, confined sandbox.Mode) error { return users.Separable(u, confined) }

// confine finds out what confines the processes here, and says so once where nothing does.
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

// separate finds out whether plug-ins run under user IDs of their own, and makes the folder of processes accordingly. It says
// once where root's do not.
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

// launch starts a process of the plug-in, opens its link and has it run under the user that it is to run under. Where the
// system does not do that, it is this process's user, unless that may not be.
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
	if err != nil && as.Tenant != nil && !l.users.Strict && ctx.Err() == nil && users.NotGiven(err) {
		why := fmt.Sprintf("it does not start as user %d: %v", as.Tenant.User.ID, err)
		as = users.Identity{Path: program, Why: failure.Text(why, failure.MaxText)}
		pr, err = process.Start(ctx, l.process(spec, as))
	}
	return pr, err
}

// executable is the path of a private copy of the plug-in's executable, which is what it was installed as.
func (l *launcher) executable(spec Plugin) (string, error) {
	return l.store.Get(spec.Name, spec.Path, spec.SHA256)
}

// process is what a process of the plug-in is started with.
func (l *launcher) process(spec Plugin, as users.Identity) process.Options {
	o := &l.o
	p := process.Options{
		Name: spec.Name, As: as, Folder: l.folders.processes, Env: l.environment(), Poll: o.Poll, Quota: o.Quota,
		Log: o.Log, Family: &l.family,
		StartTimeout: o.StartTimeout, StopGrace: o.StopGrace, Health: o.Health, Waits: l.waits, Late: l.late,
	}
	if l.confined != "" {
		p.Policy = &sandbox.Policy{Paths: filepath.SplitList(spec.Paths), Search: os.Getenv("PATH"),
			Keep: append([]string{o.Dir}, o.Secret...)}
	}
	return p
}

// environment is what a plug-in's process sees beside its folder. The operator's other variables are none of its business.
func (l *launcher) environment() (env []string) {
	for _, name := range []string{"PATH", "LANG", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "GOMAXPROCS", "GOGC", "GOMEMLIMIT"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	if l.confined != "" && os.Getenv("GOMAXPROCS") == "" { // a process that sees nothing of /proc cannot look up its share
		env = append(env, fmt.Sprintf("GOMAXPROCS=%d", max(1, runtime.GOMAXPROCS(0)/2)))
	}
	env = append(env, link.LogLevelVariable+"="+l.o.LogLevel, busypoll.Variable+"="+l.o.Poll.String())
	return append(env, l.o.Env...)
}
