package stubhost

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// ErrReloading is the error of a reload while another of the same plug-in goes on.
var ErrReloading = errors.New("the plug-in is being reloaded already")

// Reloaded is how a reload went.
type Reloaded struct {
	// Running says that there was a process to be replaced. Without one, the executable is used from the next start on.
	Running            bool
	OldVersion         string // as the processes say
	NewVersion         string
	OldPID, NewPID     int
	Moved              []message.URL // the stubs whose new run has taken over from the old one, by URL
	Cut                int           // instances that were still in the old process when its time was over
	Started, HandedOff time.Time     // when the new process was started, and when the stubs had moved
	Ended              time.Time     // when the old process was gone
}

// ReloadOptions say how a plug-in is reloaded.
type ReloadOptions struct {
	// Moved is called when the stubs in the new process have taken over: from now on new instances start there. The
	// old process goes on until its connections are closed, or Options.Drain is over: whoever knows of the connections
	// moves them. It must not wait for the reload.
	Moved func(stubs []message.URL)
	// Break ends the old process before the stubs are started in the new one. It is for plug-ins of which no two can
	// run at a time.
	Break bool
}

// reload is a reload that is under way.
type reload struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// Reload replaces the process of a plug-in by one that runs s, while it is in use; see the package's documentation. It
// returns when the old process is gone. Where it returns an error the old process runs as before, unless the error is
// ctx's: then the reload goes on without the caller. Other errors are [ErrClosed], [ErrReloading], a [*StartError], or
// say which stub does not start in the new process.
func (h *Host) Reload(ctx context.Context, s Plugin, o ReloadOptions) (Reloaded, error) {
	if s.Name == "" {
		return Reloaded{}, errors.New("reload: the plug-in has no name")
	}
	h.mu.Lock()
	if h.closing {
		h.mu.Unlock()
		return Reloaded{}, ErrClosed
	}
	p := h.plugins[s.Name]
	if p == nil {
		p = &plugin{host: h, name: s.Name, pauses: h.pauses()}
		h.plugins[s.Name] = p
	}
	running, cancel := context.WithCancel(h.ctx)
	rl := &reload{cancel: cancel, done: make(chan struct{})}
	p.mu.Lock()
	busy := p.reload != nil
	if !busy {
		p.reload = rl
	}
	p.mu.Unlock()
	if busy {
		h.mu.Unlock()
		cancel()
		return Reloaded{}, fmt.Errorf("reload %s: %w", s.Name, ErrReloading)
	}
	var out Reloaded
	var err error
	h.wg.Go(func() {
		defer close(rl.done)
		defer cancel()
		out, err = p.replace(running, s, o)
		p.mu.Lock()
		p.reload = nil
		p.mu.Unlock()
	})
	h.mu.Unlock()
	select {
	case <-rl.done:
	case <-ctx.Done():
		return Reloaded{}, fmt.Errorf("reload %s: it goes on: %w", s.Name, ctx.Err())
	}
	if err != nil {
		return Reloaded{}, fmt.Errorf("reload %s: %w; the process that ran before goes on", s.Name, err)
	}
	return out, nil
}

// replace is the reload itself.
func (p *plugin) replace(ctx context.Context, s Plugin, o ReloadOptions) (Reloaded, error) {
	p.mu.Lock()
	old, unused := p.proc, p.refs == 0
	p.mu.Unlock()
	if old == nil || unused {
		if _, err := p.executable(s); err != nil {
			return Reloaded{}, err
		}
		p.adopt(s)
		p.retire() // a process that nobody needs would be used once more
		return Reloaded{}, nil
	}
	out := Reloaded{Running: true, OldVersion: old.version, OldPID: int(old.run.pid.Load()), Started: time.Now()}
	proc, err := p.launch(ctx, s)
	if err != nil {
		return Reloaded{}, err
	}
	p.host.wg.Go(proc.watch)
	out.NewVersion, out.NewPID = proc.version, int(proc.run.pid.Load())
	if !o.Break {
		out.Moved, err = p.handOver(ctx, old, proc)
	}
	if err == nil {
		err = p.commit(s, old, proc)
	}
	if err != nil {
		proc.stop(p.host.ctx)
		return Reloaded{}, err
	}
	p.host.o.Log.Info("plug-in is being reloaded", "plugin", p.name, "from", out.OldVersion, "to", out.NewVersion,
		"old_pid", out.OldPID, "new_pid", out.NewPID, "stubs", len(out.Moved))
	out.HandedOff = time.Now()
	if o.Moved != nil {
		o.Moved(out.Moved)
	}
	if !o.Break {
		p.drain(ctx, old)
	}
	out.Cut = old.running()
	old.stop(p.host.ctx) // what is left in it is started again in the new one, as after a crash
	out.Ended = time.Now()
	return out, nil
}

// commit makes proc the plug-in's process.
func (p *plugin) commit(s Plugin, old, proc *process) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closing:
		return ErrClosed
	case proc.dying():
		return &StartError{Plugin: p.name, Reason: Exited, Detail: "the new process ended while it took over: " + proc.run.describeExit()}
	case p.proc != old:
		return errors.New("the old process ended by itself meanwhile")
	}
	p.proc, p.spec, p.checked = proc, s, fileState{}
	p.pauses.Reset()
	p.notBefore = time.Time{}
	return nil
}

// handOver has the stubs that others reach by a fixed address, Handlers and Message Node stubs, taken over by runs in
// proc. Requesters stay where they are: each has one connection, and is replaced with it. The error is of a stub that
// does not start, unless another has: then it is started again when the old process is gone.
func (p *plugin) handOver(ctx context.Context, old, proc *process) (moved []message.URL, err error) {
	for _, i := range p.instances() {
		if i.Role == sdk.RoleRequester {
			continue
		}
		ok, failed := i.takeOver(ctx, proc)
		if failed != nil {
			p.host.o.Log.Error("stub not moved", "stub", i.URL, "plugin", p.name, "error", failed)
			if err == nil {
				err = failed
			}
		}
		if !ok {
			continue
		}
		moved = append(moved, i.URL)
		if i.Role == sdk.RoleNode { // the node has closed its connection
			i.endOlder(old)
		}
	}
	if len(moved) > 0 {
		err = nil
	}
	return moved, err
}

// drain waits until nothing runs in the old process any more: Requesters are undeployed when they have been replaced,
// and Handlers are ended here when their last connection is closed.
func (p *plugin) drain(ctx context.Context, old *process) {
	late := time.NewTimer(p.host.o.Drain)
	defer late.Stop()
	look := time.NewTicker(lookPause)
	defer look.Stop()
	for old.running() > 0 {
		for _, i := range p.instances() {
			if i.Role == sdk.RoleHandler && i.drained(old) {
				i.endOlder(old)
			}
		}
		select {
		case <-look.C:
		case <-old.done:
			return
		case <-late.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// drained tells whether the run in proc that was taken over from has no peers any more.
func (i *instance) drained(proc *process) bool {
	i.mu.Lock()
	r := i.older
	i.mu.Unlock()
	if r == nil || r.proc != proc {
		return false
	}
	peers, _ := r.status.peers()
	return peers == 0
}

// endOlder asks the run in proc that was taken over from to end.
func (i *instance) endOlder(proc *process) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.older != nil && i.older.proc == proc {
		i.older.askToEnd()
	}
}

// instances are the plug-in's, by URL.
func (p *plugin) instances() []*instance {
	p.host.mu.RLock()
	defer p.host.mu.RUnlock()
	var list []*instance
	for _, i := range p.host.instances {
		if i.plugin == p {
			list = append(list, i)
		}
	}
	slices.SortFunc(list, func(a, b *instance) int { return strings.Compare(string(a.URL), string(b.URL)) })
	return list
}
