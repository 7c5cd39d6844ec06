package stubhost

import (
	"context"
	"sync"
	"time"

	"github.com/protofly/protofly/core/stubhost/process"
	"github.com/protofly/protofly/internal/backoff"
)

// plugin is one installed plug-in: its process, or what will be started next.
type plugin struct {
	launcher *launcher
	name     string

	mu        sync.Mutex
	spec      Plugin
	proc      *process.Process // nil while none runs
	leaving   *process.Process // one that is ending because nobody needs it; the next starts after it
	reload    *reload          // the one that is under way
	try       *attempt         // the start that is under way
	refs      int              // instances
	idle      *time.Timer
	closing   bool
	pauses    backoff.Backoff // between starts
	notBefore time.Time
	crashes   int
	lastErr   error
	told      string // why it has no user of its own, as the log says
}

// attempt is one start of the process, that any number of instances wait for.
type attempt struct {
	cancel context.CancelFunc
	done   chan struct{}
	proc   *process.Process
	err    error
}

// reload is a reload that is under way.
type reload struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// adopt takes over the newest word about where the plug-in is.
func (p *plugin) adopt(s Plugin) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spec != s {
		p.spec = s
		p.pauses.Reset()
		p.notBefore = time.Time{}
	}
}

// hold says that one more instance needs the process.
func (p *plugin) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refs++
	if p.idle != nil {
		p.idle.Stop()
		p.idle = nil
	}
}

// release ends an instance's need. The process ends a little later, unless another instance comes.
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
	p.launcher.wg.Go(func() { old.End(p.launcher.ctx) }) // old's own goroutine is in wg, so wg is not at zero
}

// Process returns the running process; it starts one where none runs, after the delay that earlier failures ask for.
func (p *plugin) Process(ctx context.Context) (*process.Process, error) {
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
	p.mu.Lock()
	defer p.mu.Unlock()
	p.try, p.leaving = nil, nil
	if err != nil {
		if ctx.Err() != nil {
			err = ErrClosed // nobody wants it any more
		} else {
			p.failed(err)
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

// plugin is one that has no process yet.
func (l *launcher) plugin(name string) *plugin {
	return &plugin{launcher: l, name: name, pauses: backoff.Backoff{Min: l.o.BackoffMin, Max: l.o.BackoffMax}}
}

// failed puts the next start off. mu is held.
func (p *plugin) failed(err error) {
	p.lastErr = err
	d := p.pauses.Next()
	p.notBefore = time.Now().Add(d)
	p.launcher.o.Log.Error("plug-in failed", "plugin", p.name, "error", err, "next_start_in", d.Round(time.Millisecond))
}

// Troubled notes that a stub ended unasked while its process goes on.
func (p *plugin) Troubled(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastErr = err
}

// launch starts a process, and says once why the plug-in has no user of its own where others have, or what that cannot read.
func (p *plugin) launch(ctx context.Context, spec Plugin) (*process.Process, error) {
	proc, err := p.launcher.launch(ctx, spec)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	told := proc.As().String()
	if told != p.told && p.launcher.users.Noteworthy(proc.As()) {
		p.launcher.o.Log.Warn("the plug-in's user", "plugin", p.name, "user", told)
	}
	p.told = told
	return proc, nil
}

// watch has a process be put away when it ends. It is called by a goroutine in wg.
func (p *plugin) watch(proc *process.Process) {
	p.launcher.wg.Go(func() { proc.Watch(func(unasked bool) { p.ended(proc, unasked) }) })
}

// ended is called when a process is gone.
func (p *plugin) ended(proc *process.Process, unasked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	current := p.proc == proc
	if current {
		p.proc = nil
	}
	if !unasked || !current { // another one has its place: a reload sees to it
		return
	}
	p.crashes++
	if time.Since(proc.Since()) >= p.launcher.o.Healthy {
		p.pauses.Reset()
	}
	p.failed(proc.Err())
}

// close ends the process for good, or the attempt to start one.
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
