package stubhost

import (
	"context"
	"sync"
	"time"

	"github.com/protofly/protofly/internal/backoff"
)

// plugin is one installed plug-in: its process, or what will be started next.
type plugin struct {
	host *Host
	name string

	mu        sync.Mutex
	spec      Plugin
	checked   fileState // of spec.Path when its checksum was last right
	proc      *process  // nil while none runs
	leaving   *process  // one that is ending because nobody needs it; the next starts after it
	reload    *reload   // the one that is under way
	try       *attempt  // the start that is under way
	refs      int       // instances
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
	proc   *process
	err    error
}

// adopt takes over the newest word about where the plug-in is.
func (p *plugin) adopt(s Plugin) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spec != s {
		p.spec, p.checked = s, fileState{}
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
		p.idle = time.AfterFunc(p.host.o.Idle, p.retire)
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
	p.host.wg.Go(func() { old.stop(p.host.ctx) }) // old's own goroutine is in wg, so wg is not at zero
}

// process returns the running process; it starts one where none runs, after the delay that earlier failures ask for.
func (p *plugin) process(ctx context.Context) (*process, error) {
	p.mu.Lock()
	for p.proc != nil && p.proc.dying() {
		gone := p.proc.done
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
		c, cancel := context.WithCancel(p.host.ctx)
		t = &attempt{cancel: cancel, done: make(chan struct{})}
		p.try = t
		p.host.wg.Go(func() { p.start(c, t) })
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
		<-leaving.done
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
	var proc *process
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
	p.host.wg.Go(proc.watch)
	if p.refs == 0 && !p.closing {
		p.idle = time.AfterFunc(p.host.o.Idle, p.retire)
	}
}

// failed puts the next start off. mu is held.
func (p *plugin) failed(err error) {
	p.lastErr = err
	d := p.pauses.Next()
	p.notBefore = time.Now().Add(d)
	p.host.o.Log.Error("plug-in failed", "plugin", p.name, "error", err, "next_start_in", d.Round(time.Millisecond))
}

// troubled notes that a stub ended unasked while its process goes on.
func (p *plugin) troubled(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastErr = err
}

// ended is called when a process is gone.
func (p *plugin) ended(proc *process, unasked bool) {
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
	if time.Since(proc.since) >= p.host.o.Healthy {
		p.pauses.Reset()
	}
	p.failed(proc.err)
}

// close ends the process for good, or the attempt to start one.
func (p *plugin) close(ctx context.Context) {
	p.mu.Lock()
	p.closing = true
	if p.idle != nil {
		p.idle.Stop()
	}
	try, reload := p.try, p.reload
	if try != nil {
		try.cancel()
	}
	if reload != nil {
		reload.cancel()
	}
	p.mu.Unlock()
	if try != nil {
		<-try.done
	}
	if reload != nil {
		<-reload.done
	}
	p.mu.Lock()
	proc := p.proc
	p.mu.Unlock()
	if proc != nil {
		proc.stop(ctx)
	}
}
