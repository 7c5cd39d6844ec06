package stubhost

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/internal/busypoll"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/link"
	"github.com/protofly/protofly/sdk/message"
)

// Options are a host's settings. Dir, Message and Frames are required.
type Options struct {
	// Dir is a directory of the host's own, made with mode 0700: copies of executables, and sockets. One host at a
	// time may use it.
	Dir string
	Log hclog.Logger // nil: no log

	// Message is given the messages that stubs post, in order for each stub, one at a time for each stub. Status
	// events that stand in for a stub that has crashed come by it too. An error says that the stub may not say that,
	// which is counted as whatever a plug-in does wrong. ctx ends with the instance, and a little after the run that has
	// posted the message.
	Message func(ctx context.Context, stub message.URL, m message.Message) error
	// Frames is given what came in by a door, in order for each door, from one goroutine for each door: while it
	// blocks, that door is held back and nothing else. The frames are the callee's until it returns. It is false where
	// none of them was for anybody: a P2P stub that brings more of these has to wait. ctx ends with the instance.
	Frames func(ctx context.Context, stub, door message.URL, frames []sdk.Frame) bool
	// Prompt says that Frames never waits for anybody. Then the goroutine that reads a plug-in's link calls it too, for
	// small amounts, which spares them a goroutine's start; still one call at a time for each door.
	Prompt bool

	// Poll is how long this process and the plug-ins look for more, where messages come in quick succession, before they
	// sleep: see internal/busypoll. 0: [busypoll.Usual]; less: never.
	Poll time.Duration

	// Sandbox is whether the processes are confined: see package sandbox. "" is [sandbox.Auto].
	Sandbox sandbox.Mode
	// Users is whether plug-ins run under user IDs of their own, where this process is root's and may start such processes
	// (Linux): each under one that owns the process's folders and nothing else. With it this process makes no core dumps.
	Users sandbox.Users
	// Secret is folders that no plug-in may read by the way, beside Dir: where the runtime's key is.
	Secret []string
	// Reaper says that this process runs nothing but this host: it becomes the parent of what plug-ins leave behind, and
	// every child of it that the host has not started is one of those. Only one host of a process may have it (Linux).
	Reaper bool
	Quota  int64 // bytes that a process may keep in its folder; 0: [DefaultQuota]

	Env      []string // for the plug-ins, NAME=value, beside the minimal environment
	LogLevel string   // for the plug-ins; "": the level of Log

	StartTimeout time.Duration // from a process's start until its link works; 0: 10 s
	StopGrace    time.Duration // from asking an instance or process to end until it is given up or killed; 0: 5 s
	PostTimeout  time.Duration // how long Post waits for a stub that is being started again; 0: 5 s
	Drain        time.Duration // how long the old process of a plug-in that is reloaded may go on; 0: 10 s
	Idle         time.Duration // how long a process without instances is kept; 0: 1 s
	BackoffMin   time.Duration // the first delay before a process is started again; 0: 100 ms
	BackoffMax   time.Duration // the longest; 0: 3 s
	Healthy      time.Duration // the delays begin anew after a process ran this long; 0: 10 s
	Health       time.Duration // how often a process is asked whether it is alive, and may take to answer; 0: 5 s
}

func (o *Options) defaults() {
	for _, d := range []struct {
		at *time.Duration
		is time.Duration
	}{
		{&o.StartTimeout, 10 * time.Second}, {&o.StopGrace, 5 * time.Second}, {&o.PostTimeout, 5 * time.Second},
		{&o.Drain, 10 * time.Second}, {&o.Idle, time.Second}, {&o.BackoffMin, 100 * time.Millisecond}, {&o.BackoffMax, 3 * time.Second},
		{&o.Healthy, 10 * time.Second}, {&o.Health, 5 * time.Second},
	} {
		if *d.at <= 0 {
			*d.at = d.is
		}
	}
	if o.Poll == 0 {
		o.Poll = busypoll.Usual
	}
	o.Poll = max(o.Poll, 0)
	if o.Quota <= 0 {
		o.Quota = DefaultQuota
	}
	if o.Sandbox == "" {
		o.Sandbox = sandbox.Auto
	}
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	if o.LogLevel == "" {
		o.LogLevel = o.Log.GetLevel().String()
	}
}

// Plugin is an installed plug-in.
type Plugin struct {
	Name   string // as in its descriptor
	Path   string // of its executable
	SHA256 string // of its executable, in hexadecimal
	Paths  string // files and folders that it may read beside its own, separated as in PATH
	Named  string // the same of what it is told of otherwise, which it can read only where nothing confines it
}

// Instance is what is to be deployed; see sdk.Start for the fields.
type Instance struct {
	URL, Runtime    message.URL
	Role            sdk.Role
	Domain          string
	Remote, Handler message.URL
	Config          json.RawMessage
}

// Host runs plug-ins. It is made by [New].
type Host struct {
	o         Options
	sockets   string          // the directory of the sockets
	elsewhere string          // the file that says where that is when it is not below Options.Dir
	sandbox   string          // what confines the processes; "": nothing does
	unsafe    string          // why nothing does
	users     users           // whom they run under
	family    family          // the processes
	ctx       context.Context // ends when everything has to
	cancel    context.CancelFunc
	late      context.Context // ends when Close has no time left to wait for plug-ins
	hurry     context.CancelFunc
	waits     waits
	wg        sync.WaitGroup

	mu        sync.RWMutex
	closing   bool
	plugins   map[string]*plugin
	instances map[message.URL]*instance // by canonical stub URL
}

// New makes a host. It starts nothing yet. It must be closed.
func New(o Options) (*Host, error) {
	if o.Dir == "" || o.Message == nil || o.Frames == nil {
		return nil, errors.New("stub host: Dir, Message and Frames are required")
	}
	o.defaults()
	h := &Host{o: o, waits: usualWaits(), plugins: map[string]*plugin{}, instances: map[message.URL]*instance{}}
	if err := h.confine(); err != nil {
		return nil, fmt.Errorf("stub host: %w", err)
	}
	if err := h.makeDirs(); err != nil {
		return nil, fmt.Errorf("stub host: %w", err)
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.late, h.hurry = context.WithCancel(context.Background())
	h.family.reaper, h.family.below = o.Reaper, h.sockets
	if !h.family.clear(h.late, h.waits.clear) { // of a host that was killed
		h.cancel()
		return nil, fmt.Errorf("stub host: processes that an earlier one has left behind do not end; their TMPDIR is in %s", h.sockets)
	}
	if o.Reaper {
		if err := becomeReaper(); err != nil {
			h.cancel()
			return nil, fmt.Errorf("stub host: %w", err)
		}
		h.wg.Go(h.sweeping)
	}
	return h, nil
}

// Deploy starts an instance of p, and p's process if it is not running. It returns when the instance has started;
// that its set-up has worked the stub says by its status. Where it returns an error the instance is gone:
// [ErrDeployed], [ErrClosed], ctx's, or a [*StartError]. After a failure the next start of the plug-in waits out its
// delay. A later Deploy of a plug-in whose path or checksum differ uses the running process if there is one: what moves
// everything to another executable is [Host.Reload].
func (h *Host) Deploy(ctx context.Context, p Plugin, in Instance) error {
	if err := check(p, in); err != nil {
		return err
	}
	key := in.URL.Canonical()
	h.mu.Lock()
	switch {
	case h.closing:
		h.mu.Unlock()
		return ErrClosed
	case h.instances[key] != nil:
		h.mu.Unlock()
		return fmt.Errorf("deploy %s: %w", in.URL, ErrDeployed)
	}
	pl := h.plugins[p.Name]
	if pl == nil {
		pl = &plugin{host: h, name: p.Name, pauses: h.pauses()}
		h.plugins[p.Name] = pl
	}
	pl.adopt(p)
	i := newInstance(h, pl, in)
	h.instances[key] = i
	h.wg.Go(i.run)
	h.mu.Unlock()
	select {
	case <-i.deployed:
		return nil
	case <-i.gone:
		return fmt.Errorf("deploy %s: %w", in.URL, i.failure())
	case <-ctx.Done():
		i.end()
		<-i.gone
		return fmt.Errorf("deploy %s: %w", in.URL, ctx.Err())
	}
}

func check(p Plugin, in Instance) error {
	switch {
	case p.Name == "":
		return errors.New("deploy: the plug-in has no name")
	case in.URL == "" || in.Runtime == "":
		return fmt.Errorf("deploy a stub of %s: it needs a stub URL and a runtime URL", p.Name)
	case !utf8.ValidString(in.Domain) || !utf8.ValidString(string(in.Role)):
		return fmt.Errorf("deploy %s: its domain or role is not UTF-8", in.URL)
	case len(in.Config) > link.MaxConfig:
		return fmt.Errorf("deploy %s: a configuration of %d bytes, at most %d are allowed", in.URL, len(in.Config), link.MaxConfig)
	case len(in.Config) > 0 && !json.Valid(in.Config):
		return fmt.Errorf("deploy %s: the configuration is not JSON", in.URL)
	}
	for _, u := range []message.URL{in.URL, in.Runtime, in.Remote, in.Handler} {
		if _, err := message.ParseURL(string(u)); u != "" && err != nil {
			return fmt.Errorf("deploy a stub of %s: %w", p.Name, err)
		}
	}
	return nil
}

// Undeploy ends an instance. It returns when the stub has ended; what it posted last may still be on its way to
// Options.Message. The error is [ErrNotDeployed], or wraps [ErrHangs] (it is dropped all the same) or ctx's (it goes
// on ending).
func (h *Host) Undeploy(ctx context.Context, stub message.URL) error {
	h.mu.Lock()
	i := h.instances[stub.Canonical()]
	h.mu.Unlock()
	if i == nil {
		return fmt.Errorf("undeploy %s: %w", stub, ErrNotDeployed)
	}
	if err := i.stop(ctx); err != nil {
		return fmt.Errorf("undeploy %s: %w", stub, err)
	}
	return nil
}

func (h *Host) instance(stub message.URL) *instance {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.instances[stub.Canonical()]
}

// remove takes i out of the table.
func (h *Host) remove(i *instance) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if key := i.URL.Canonical(); h.instances[key] == i {
		delete(h.instances, key)
	}
}

// Post gives m to the stub's MiniBus. It blocks while the stub is behind, and for a short while where it is being
// started again. The error is ctx's or wraps [ErrNotDeployed], [ErrNotRunning] or link.ErrTooLarge.
func (h *Host) Post(ctx context.Context, stub message.URL, m message.Message) error {
	i := h.instance(stub)
	if i == nil {
		return fmt.Errorf("post to %s: %w", stub, ErrNotDeployed)
	}
	if err := i.post(ctx, m); err != nil {
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
	i.mu.Lock()
	to := i.current
	i.mu.Unlock()
	if to == nil {
		return false
	}
	sent, err := to.lane.TrySend(sdk.Frame{Payload: m.AppendBinary(nil)})
	return sent && err == nil
}

// Send sends frames by a door of the stub, in order. It blocks while the door's window is full. The payloads may be
// reused when it has returned. The error is ctx's or wraps [ErrNotDeployed], [ErrNoDoor] or link.ErrTooLarge; how
// many frames were sent before it is not known.
func (h *Host) Send(ctx context.Context, stub, door message.URL, frames ...sdk.Frame) error {
	i := h.instance(stub)
	if i == nil {
		return fmt.Errorf("send by %s: %w", stub, ErrNotDeployed)
	}
	lane := i.door(door)
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
	lane := i.door(door)
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
		h.wg.Wait()
		return nil
	}
	h.closing = true
	for _, i := range h.instances {
		i.leave()
	}
	plugins := h.plugins
	h.mu.Unlock()
	var wg sync.WaitGroup
	for _, p := range plugins {
		wg.Go(func() { p.close(ctx) })
	}
	wg.Wait()
	h.cancel()
	h.wg.Wait()
	if !h.family.clear(h.late, h.waits.clear) {
		h.o.Log.Error("a plug-in has left processes behind that do not end")
	}
	return h.clear()
}
