package stubhost

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/protofly/protofly/core/stubhost/stub"
	"github.com/protofly/protofly/internal/link"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Host runs plug-ins. It is made by [New].
type Host struct {
	launcher *launcher
	stubs    *stub.Options
	cancel   context.CancelFunc // of the launcher's ctx
	hurry    context.CancelFunc // of the launcher's late

	mu        sync.RWMutex
	closing   bool
	plugins   map[string]*plugin
	instances map[message.URL]*deployed // by canonical stub URL
}

// deployed is an instance of a plug-in.
type deployed struct {
	*stub.Stub
	plugin *plugin
	gone   chan struct{} // closed when it is over and not in the table any more
}

// New makes a host. It starts nothing yet. It must be closed.
func New(o Options) (*Host, error) {
	if o.Dir == "" || o.Message == nil || o.Frames == nil {
		return nil, errors.New("stub host: Dir, Message and Frames are required")
	}
	o.defaults()
	h := &Host{plugins: map[string]*plugin{}, instances: map[message.URL]*deployed{}}
	ctx, cancel := context.WithCancel(context.Background())
	late, hurry := context.WithCancel(context.Background())
	h.cancel, h.hurry = cancel, hurry
	var err error
	if h.launcher, err = newLauncher(ctx, late, o); err != nil {
		cancel()
		hurry()
		return nil, fmt.Errorf("stub host: %w", err)
	}
	h.stubs = h.launcher.o.stubs(&h.launcher.wg)
	return h, nil
}

// Sandbox says what confines the plug-ins' processes; confined is false where nothing does, and how says why.
func (h *Host) Sandbox() (how string, confined bool) {
	if h.launcher.confined == "" {
		return h.launcher.unconfined, false
	}
	return h.launcher.confined, true
}

// Owns tells whether a process of this system is a plug-in's, or was started by one. It is true also for a process that
// is gone, of which nobody can tell; and never where the system does not tell who a process's parent is. A process that
// has left its parents and hides where it comes from is known only with Options.Reaper.
func (h *Host) Owns(pid int) bool { return h.launcher.family.Owns(pid) }

func (h *Host) instance(stub message.URL) *deployed {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.instances[stub.Canonical()]
}

// Post gives m to the stub's MiniBus. It blocks while the stub is behind, and for a short while where it is being
// started again. The error is ctx's or wraps [ErrNotDeployed], [ErrNotRunning] or link.ErrTooLarge.
func (h *Host) Post(ctx context.Context, stub message.URL, m message.Message) error {
	i := h.instance(stub)
	if i == nil {
		return fmt.Errorf("post to %s: %w", stub, ErrNotDeployed)
	}
	if err := i.Post(ctx, m); err != nil {
		return fmt.Errorf("post to %s: %w", stub, err)
	}
	return nil
}

// TryPost is [Host.Post] where that need not wait; else it is false, and the stub does not get m.
func (h *Host) TryPost(stub message.URL, m message.Message) bool {
	i := h.instance(stub)
	if i == nil {
		return false
	}
	return i.TryPost(m)
}

// Send sends frames by a door of the stub, in order. It blocks while the door's window is full. The payloads may be
// reused when it has returned. The error is ctx's or wraps [ErrNotDeployed], [ErrNoDoor] or link.ErrTooLarge; how
// many frames were sent before it is not known.
func (h *Host) Send(ctx context.Context, stub, door message.URL, frames ...sdk.Frame) error {
	i := h.instance(stub)
	if i == nil {
		return fmt.Errorf("send by %s: %w", stub, ErrNotDeployed)
	}
	lane := i.Door(door)
	if lane == nil {
		return fmt.Errorf("send by %s: %w", door, ErrNoDoor)
	}
	err := lane.Send(ctx, frames...)
	if errors.Is(err, link.ErrClosed) {
		err = ErrNoDoor
	}
	if err != nil {
		return fmt.Errorf("send by %s: %w", door, err)
	}
	return nil
}

// TrySend is [Host.Send] where that need not wait; else it is false, and nothing was sent.
func (h *Host) TrySend(stub, door message.URL, frames ...sdk.Frame) bool {
	i := h.instance(stub)
	if i == nil {
		return false
	}
	lane := i.Door(door)
	if lane == nil {
		return false
	}
	sent, err := lane.TrySend(frames...)
	return sent && err == nil
}

// Close ends everything: each process is asked to end and killed after the grace, or when ctx ends. When it returns
// no process, socket or goroutine of the host is left. Options' functions must return when their ctx ends.
//
// It keeps its time whatever a plug-in does: it returns within a second after ctx has ended. Where ctx does not end, that
// is the grace and 6 s at most: for what a process has written to be read, and for what it has left behind to be killed.
func (h *Host) Close(ctx context.Context) error {
	defer h.hurry()
	defer context.AfterFunc(ctx, h.hurry)()
	h.mu.Lock()
	if h.closing {
		h.mu.Unlock()
		h.launcher.wg.Wait()
		return nil
	}
	h.closing = true
	for _, i := range h.instances {
		i.Leave()
	}
	plugins := h.plugins
	h.mu.Unlock()
	var wg sync.WaitGroup
	for _, p := range plugins {
		wg.Go(func() { p.close(ctx) })
	}
	wg.Wait()
	h.cancel()
	h.launcher.wg.Wait()
	if !h.launcher.family.Clear(h.launcher.late, h.launcher.waits.Clear) {
		h.launcher.o.Log.Error("a plug-in has left processes behind that do not end")
	}
	return h.launcher.folders.clear()
}
