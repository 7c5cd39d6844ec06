package stubhost

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/protofly/protofly/core/stubhost/process"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// drainLook is the interval at which drain checks whether the old process is still needed.
const drainLook = 20 * time.Millisecond

// Reloaded says how a reload went.
type Reloaded struct {
	// Running says that a process was replaced. If none ran, the executable is used from the next start on.
	Running            bool
	OldVersion         string // as the process says itself
	NewVersion         string
	OldPID, NewPID     int
	Moved              []message.URL // the stubs whose new run has taken over from the old one, by URL
	Cut                int           // instances that still ran in the old process when Options.Drain was over
	Started, HandedOff time.Time     // when the new process was started, and when the stubs had moved
	Ended              time.Time     // when the old process was gone
}

// ReloadOptions are the settings of one reload.
type ReloadOptions struct {
	// Moved is called when the runs in the new process have taken over these stubs. From then on new instances start there. The
	// old process goes on until its connections are closed, or Options.Drain is over: the callee replaces
	// the connections that it knows of. It must not wait for the reload.
	Moved func(stubs []message.URL)
	// Break ends the old process before the stubs start in the new one. It is for plug-ins that cannot run
	// twice at a time.
	Break bool
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
		p = h.launcher.plugin(s.Name)
		h.plugins[s.Name] = p
	}
	running, cancel := context.WithCancel(h.launcher.ctx)
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
	h.launcher.wg.Go(func() {
		defer close(rl.done)
		defer cancel()
		out, err = h.replace(running, p, s, o)
		p.mu.Lock()
		p.reload = nil
		p.mu.Unlock()
	})
	h.mu.Unlock()
	select {
	case <-rl.done:
	case <-ctx.Done():
		return Reloaded{}, fmt.Errorf("reload %s: nobody waits for it any more, but it goes on: %w", s.Name, ctx.Err())
	}
	if err != nil {
		return Reloaded{}, fmt.Errorf("reload %s: %w; the process that ran before goes on", s.Name, err)
	}
	return out, nil
}

// replace starts the new process, moves the stubs there, and ends the old process.
func (h *Host) replace(ctx context.Context, p *plugin, s Plugin, o ReloadOptions) (Reloaded, error) {
	p.mu.Lock()
	old, unused := p.proc, p.refs == 0
	p.mu.Unlock()
	if old == nil || unused {
		if _, err := p.launcher.executable(s); err != nil {
			return Reloaded{}, err
		}
		p.setSpec(s)
		p.retire() // else a process without instances would be used once more
		return Reloaded{}, nil
	}
	out := Reloaded{Running: true, OldVersion: old.Version(), OldPID: old.PID(), Started: time.Now()}
	proc, err := p.launch(ctx, s)
	if err != nil {
		return Reloaded{}, err
	}
	p.watch(proc)
	out.NewVersion, out.NewPID = proc.Version(), proc.PID()
	if !o.Break {
		out.Moved, err = h.handOver(ctx, p, old, proc)
	}
	if err == nil {
		err = p.commit(s, old, proc)
	}
	if err != nil {
		proc.End(h.launcher.ctx)
		return Reloaded{}, err
	}
	p.launcher.o.Log.Info("plug-in is being reloaded", "plugin", p.name, "from", out.OldVersion, "to", out.NewVersion,
		"old_pid", out.OldPID, "new_pid", out.NewPID, "stubs", len(out.Moved))
	out.HandedOff = time.Now()
	if o.Moved != nil {
		o.Moved(out.Moved)
	}
	if !o.Break {
		h.drain(ctx, p, old)
	}
	out.Cut = old.Runs()
	old.End(h.launcher.ctx) // instances that still run in it are started again in the new one, as after a crash
	out.Ended = time.Now()
	return out, nil
}

// commit makes proc the plug-in's process.
func (p *plugin) commit(s Plugin, old, proc *process.Process) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closing:
		return ErrClosed
	case proc.Dying():
		return &StartError{Plugin: p.name, Reason: Exited, Detail: "the new process ended while it took over: " + proc.ExitText()}
	case p.proc != old:
		return errors.New("the old process ended by itself during the reload")
	}
	p.proc, p.spec = proc, s
	p.pauses.Reset()
	p.notBefore = time.Time{}
	return nil
}

// handOver starts runs in proc that take over the stubs which others reach by a fixed address: Handlers and Message Node
// stubs. Requesters stay in the old process: each has one connection, and is replaced with it. If no stub starts in proc, it
// returns the error of one. If some do, those that do not are started again when the old process is gone.
func (h *Host) handOver(ctx context.Context, p *plugin, old, proc *process.Process) (moved []message.URL, err error) {
	for _, i := range h.of(p) {
		if i.Role == sdk.RoleRequester {
			continue
		}
		ok, failed := i.TakeOver(ctx, proc)
		if failed != nil {
			p.launcher.o.Log.Error("stub not moved", "stub", i.URL, "plugin", p.name, "error", failed)
			if err == nil {
				err = failed
			}
		}
		if !ok {
			continue
		}
		moved = append(moved, i.URL)
		if i.Role == sdk.RoleNode { // the node has closed its connection
			i.EndOlder(old)
		}
	}
	if len(moved) > 0 {
		err = nil
	}
	return moved, err
}

// drain waits until nothing runs in the old process any more, or Options.Drain is over. The deployer undeploys Requesters
// that it has replaced; drain ends a Handler when its last connection is closed.
func (h *Host) drain(ctx context.Context, p *plugin, old *process.Process) {
	late := time.NewTimer(p.launcher.o.Drain)
	defer late.Stop()
	look := time.NewTicker(drainLook)
	defer look.Stop()
	for old.Runs() > 0 {
		for _, i := range h.of(p) {
			if i.Role == sdk.RoleHandler && i.Drained(old) {
				i.EndOlder(old)
			}
		}
		select {
		case <-look.C:
		case <-old.Done():
			return
		case <-late.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// of returns the plug-in's instances, ordered by URL.
func (h *Host) of(p *plugin) []*deployed {
	h.mu.RLock()
	defer h.mu.RUnlock()
	var list []*deployed
	for _, i := range h.instances {
		if i.plugin == p {
			list = append(list, i)
		}
	}
	slices.SortFunc(list, func(a, b *deployed) int { return strings.Compare(string(a.URL), string(b.URL)) })
	return list
}
