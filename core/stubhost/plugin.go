package stubhost

import (
	"context"
	"sync"
	"time"

	"github.com/protofly/protofly/core/stubhost/process"
	"github.com/protofly/protofly/internal/backoff"
)

// plugin is one installed plug-in. It keeps the plug-in's process running while an instance of a stub needs it, starts it
// again after a crash, and has the back-off between starts.
type plugin struct {
	launcher *launcher
	name     string

	mu         sync.Mutex
	spec       Plugin
	proc       *process.Process // nil while none runs
	leaving    *process.Process // ends because no instance needs it; the next process starts after it
	reload     *reload          // in progress; nil: none is
	try        *attempt         // start in progress; nil: none is
	refs       int              // instances that need the process
	idle       *time.Timer
	closing    bool
	pauses     backoff.Backoff // between starts: see failed
	notBefore  time.Time
	crashes    int
	lastErr    error
	loggedUser string // the user that the log has named last
}

// attempt is one start of the process. Any number of instances may wait for it.
type attempt struct {
	cancel context.CancelFunc
	done   chan struct{}
	proc   *process.Process
	err    error
}

// reload is a reload in progress.
type reload struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// setSpec sets where the plug-in is. If that is new, the next start does not wait for the back-off.
func (p *plugin) setSpec(s Plugin) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spec != s {
		p.spec = s
		p.pauses.Reset()
		p.notBefore = time.Time{}
	}
}

// acquire notes that one more instance needs the process.
func (p *plugin) acquire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refs++
	if p.idle != nil {
		p.idle.Stop()
		p.idle = nil
	}
}

// release notes that one instance less needs the process. After the last one the process ends, once Options.Idle has passed
// without another instance.
func (p *plugin) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refs--; p.refs > 0 {
		return
	}
	if p.try != nil {
		p.try.cancel()
	}
	if p.proc != nil && !p.closing {
		p.idle = time.AfterFunc(p.launcher.o.Idle, p.retire)
	}
}

// retire ends the process of a plug-in that has had no instances for a while.
func (p *plugin) retire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refs > 0 || p.proc == nil || p.closing {
		return
	}
	old := p.proc
	p.proc, p.leaving = nil, old
	p.launcher.wg.Go(func() { old.End(p.launcher.ctx) }) // Go after Wait has begun is right: watch's goroutine is still in wg
}

// EnsureProcess returns the running process. Where none runs it starts one, after the back-off of earlier failures.
func (p *plugin) EnsureProcess(ctx context.Context) (*process.Process, error) {
	p.mu.Lock()
	for p.proc != nil && p.proc.Dying() {
		gone := p.proc.Done()
		p.mu.Unlock()
		select {
		case <-gone:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		p.mu.Lock()
	}
	if p.closing {
		p.mu.Unlock()
		return nil, ErrClosed
	}
	if p.proc != nil {
		defer p.mu.Unlock()
		return p.proc, nil
	}
	t := p.try
	if t == nil {
		c, cancel := context.WithCancel(p.launcher.ctx)
		t = &attempt{cancel: cancel, done: make(chan struct{})}
		p.try = t
		p.launcher.wg.Go(func() { p.start(c, t) })
	}
	p.mu.Unlock()
	select {
	case <-t.done:
		return t.proc, t.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// start is the goroutine of one attempt.
func (p *plugin) start(ctx context.Context, t *attempt) {
	defer t.cancel()
	defer close(t.done)
	p.mu.Lock()
	wait, leaving := time.Until(p.notBefore), p.leaving
	p.mu.Unlock()
	if leaving != nil {
		<-leaving.Done()
	}
	if wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
	p.mu.Lock()
	spec := p.spec
	p.mu.Unlock()
	var proc *process.Process
	err := ctx.Err()
	if err == nil {
		proc, err = p.launch(ctx, spec)
	}
	own := p.lock()
	defer own.unlock()
	p.try, p.leaving = nil, nil
	if err != nil {
		if ctx.Err() != nil {
			err = ErrClosed // no instance waits for it any more
		} else {
			own.failed(err)
		}
		t.err = err
		return
	}
	p.proc, t.proc = proc, proc
	p.watch(proc)
	if p.refs == 0 && !p.closing {
		p.idle = time.AfterFunc(p.launcher.o.Idle, p.retire)
	}
}

// plugin makes a plugin that has no process yet.
func (l *launcher) plugin(name string) *plugin {
	return &plugin{launcher: l, name: name, pauses: backoff.Backoff{Min: l.o.BackoffMin, Max: l.o.BackoffMax}}
}

// lockedPlugin is a plugin with its lock taken, from lock to unlock. Methods that need the lock are methods of lockedPlugin.
type lockedPlugin struct{ *plugin }

// lock locks mu.
func (p *plugin) lock() lockedPlugin {
	p.mu.Lock()
	return lockedPlugin{p}
}

// unlock unlocks mu.
func (p lockedPlugin) unlock() { p.mu.Unlock() }

// failed puts off the next start by the back-off's next delay.
func (p lockedPlugin) failed(err error) {
	p.lastErr = err
	d := p.pauses.Next()
	p.notBefore = time.Now().Add(d)
	p.launcher.o.Log.Error("plug-in failed", "plugin", p.name, "error", err, "next_start_in", d.Round(time.Millisecond))
}

// StubFailed notes that a stub ended unexpectedly while its process goes on.
func (p *plugin) StubFailed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastErr = err
}

// launch starts a process. Where other plug-ins have dedicated users and this one has none, or its user cannot read what the
// configuration names, it logs that once.
func (p *plugin) launch(ctx context.Context, spec Plugin) (*process.Process, error) {
	proc, err := p.launcher.launch(ctx, spec)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	loggedUser := proc.As().String()
	if loggedUser != p.loggedUser && p.launcher.users.Noteworthy(proc.As()) {
		p.launcher.o.Log.Warn("the plug-in's user", "plugin", p.name, "user", loggedUser)
	}
	p.loggedUser = loggedUser
	return proc, nil
}

// watch cleans up after the process when it ends. The caller is a goroutine in wg.
func (p *plugin) watch(proc *process.Process) {
	p.launcher.wg.Go(func() { proc.Wait(func(unexpected bool) { p.ended(proc, unexpected) }) })
}

// ended is called when a process is gone. After a crash it puts off the next start; the instances then ask for it (EnsureProcess).
func (p *plugin) ended(proc *process.Process, unexpected bool) {
	own := p.lock()
	defer own.unlock()
	current := p.proc == proc
	if current {
		p.proc = nil
	}
	if !unexpected || !current { // a reload has replaced it
		return
	}
	p.crashes++
	if time.Since(proc.Since()) >= p.launcher.o.Healthy {
		p.pauses.Reset()
	}
	own.failed(proc.Err())
}

// close ends the process, or the attempt to start one, and allows no further starts.
func (p *plugin) close(ctx context.Context) {
	p.mu.Lock()
	p.closing = true
	if p.idle != nil {
		p.idle.Stop()
	}
	try, reloading := p.try, p.reload
	if try != nil {
		try.cancel()
	}
	if reloading != nil {
		reloading.cancel()
	}
	p.mu.Unlock()
	if try != nil {
		<-try.done
	}
	if reloading != nil {
		<-reloading.done
	}
	p.mu.Lock()
	proc := p.proc
	p.mu.Unlock()
	if proc != nil {
		proc.End(ctx)
	}
}
