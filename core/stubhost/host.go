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
	launcher    *launcher
	stubs       *stub.Options
	cancel      context.CancelFunc // ends launcher.ctx
	expireClose context.CancelFunc // ends launcher.closeDeadline

	mu        sync.RWMutex
	closing   bool
	plugins   map[string]*plugin
	instances map[message.URL]*deployed // by canonical stub URL
}

// deployed is an instance of a plug-in.
type deployed struct {
	*stub.Stub
	plugin *plugin
	gone   chan struct{} // closed when it has ended and is out of the table
}

// New makes a host. It starts no plug-in yet. The caller closes it with [Host.Close].
func New(o Options) (*Host, error) {
	if o.Dir == "" || o.Message == nil || o.Frames == nil {
		return nil, errors.New("stub host: Dir, Message and Frames are required")
	}
	o.defaults()
	h := &Host{plugins: map[string]*plugin{}, instances: map[message.URL]*deployed{}}
	ctx, cancel := context.WithCancel(context.Background())
	closeDeadline, expireClose := context.WithCancel(context.Background())
	h.cancel, h.expireClose = cancel, expireClose
	var err error
	if h.launcher, err = newLauncher(ctx, closeDeadline, o); err != nil {
		cancel()
		expireClose()
		return nil, fmt.Errorf("stub host: %w", err)
	}
	h.stubs = h.launcher.o.stubs(&h.launcher.wg)
	return h, nil
}

// Sandbox tells whether the plug-ins' processes are confined. how says by what, or why not.
func (h *Host) Sandbox() (how string, confined bool) {
	if h.launcher.confined == "" {
		return h.launcher.unconfined, false
	}
	return h.launcher.confined, true
}

// Owns tells whether a process of this machine is a plug-in or was started by one. It is true for a process that has ended,
// since its parents are not known any more. It is false for every process on systems that do not tell a process's parent. A
// process that has left its parent and has changed its environment is found only with Options.Reaper.
func (h *Host) Owns(pid int) bool { return h.launcher.descendants.Owns(pid) }

func (h *Host) instance(stub message.URL) *deployed {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.instances[stub.Canonical()]
}

// Post sends m to the stub's MiniBus. It blocks while the window of the stub's messages is full, and for Options.PostTimeout
// while the stub is being started again. The error is ctx's or wraps [ErrNotDeployed], [ErrNotRunning] or link.ErrTooLarge.
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

// TryPost is [Host.Post] if that does not block. Otherwise it returns false and sends nothing.
func (h *Host) TryPost(stub message.URL, m message.Message) bool {
	i := h.instance(stub)
	if i == nil {
		return false
	}
	return i.TryPost(m)
}

// Send sends frames by a door of the stub, in order. It blocks while the door's window is full. The caller may reuse the
// payloads when Send has returned. The error is ctx's or wraps [ErrNotDeployed], [ErrNoDoor] or link.ErrTooLarge. Where it
// fails, any number of the frames may have been sent.
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

// TrySend is [Host.Send] if that does not block. Otherwise it returns false and sends nothing.
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

// Close ends everything. It asks each process to end, and kills it after Options.StopGrace or when ctx ends. When it returns
// no process, socket or goroutine of the host is left. The functions in Options must return when their ctx ends.
//
// Whatever a plug-in does, Close returns within a second after ctx has ended, and at the latest 6 s after Options.StopGrace.
// Within these 6 s it reads what a process has written and kills what it has left behind.
func (h *Host) Close(ctx context.Context) error {
	defer h.expireClose()
	defer context.AfterFunc(ctx, h.expireClose)()
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
	if !h.launcher.descendants.Clear(h.launcher.closeDeadline, h.launcher.waits.Clear) {
		h.launcher.o.Log.Error("processes that a plug-in has started do not end: kill them by hand", "TMPDIR_in_their_environment", h.launcher.folders.processes)
	}
	return h.launcher.folders.clear()
}
