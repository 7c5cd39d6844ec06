package stubhost

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/stubhost/quota"
	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/core/stubhost/stub"
	"github.com/protofly/protofly/internal/busypoll"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// DefaultQuota is how many bytes a plug-in's process may keep in its folder.
const DefaultQuota = quota.Default

// Options are a host's settings. Dir, Message and Frames are required.
type Options struct {
	// Dir is a directory of the host's own, made with mode 0700: copies of executables, and sockets. One host at a
	// time may use it.
	Dir string
	Log hclog.Logger // nil: no log

	// Message is called with each message that a stub posts, and with the status events that the host sends for a stub that has
	// crashed: for each stub in order and one at a time. An error says that the stub may not send this message, which counts as
	// a violation. ctx ends with the instance, and a second after the end of the run that has posted the message.
	Message func(ctx context.Context, stub message.URL, m message.Message) error
	// Frames is called with the frames that came in by a door, in order, from one goroutine for each door: while it
	// blocks, only that door waits. The frames are valid until it returns. It returns false where none of the frames was of
	// use; a P2P stub that brings more of these is throttled. ctx ends with the instance.
	Frames func(ctx context.Context, stub, door message.URL, frames []sdk.Frame) bool
	// Prompt says that Frames never blocks. Then the goroutine that reads a plug-in's link calls it itself for
	// small amounts of data, which saves a switch of goroutines; still one call at a time for each door.
	Prompt bool

	// Poll is how long this process and the plug-ins poll for the next message before they sleep, while messages come in quick
	// succession: see internal/busypoll. 0: [busypoll.Usual]; less: they do not poll.
	Poll time.Duration

	// Sandbox is whether the processes are confined: see package sandbox. "" is [sandbox.Auto].
	Sandbox sandbox.Mode
	// Users is whether plug-ins run under dedicated user IDs, where this process runs as root and may start such processes
	// (Linux). Each ID owns the folders of its process and nothing else. With it this process makes no core dumps.
	Users sandbox.Users
	// Secret are folders, beside Dir, that are never opened to a plug-in together with a folder that it needs: the one of the
	// runtime's key.
	Secret []string
	// Reaper says that this process starts no processes but this host's. Then it becomes the parent of the processes that
	// plug-ins leave behind, and kills every child that the host has not started. Only one host of a process may set it (Linux).
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
	BackoffMax   time.Duration // the longest delay; 0: 3 s
	Healthy      time.Duration // the delays begin anew after a process ran this long; 0: 10 s
	Health       time.Duration // the interval of health checks, and the time that a process has to answer one; 0: 5 s
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
	Named  string // the same for files that its configuration names otherwise; it can read them only where it is not confined
}

// Instance is one stub to deploy; see sdk.Start for the fields.
type Instance = stub.Spec

// stubs returns the options that concern each stub. Close waits for group.
func (o *Options) stubs(group *sync.WaitGroup) *stub.Options {
	return &stub.Options{Message: o.Message, Frames: o.Frames, Prompt: o.Prompt, Log: o.Log, Group: group,
		StartTimeout: o.StartTimeout, StopGrace: o.StopGrace, PostTimeout: o.PostTimeout,
		BackoffMin: o.BackoffMin, BackoffMax: o.BackoffMax, Healthy: o.Healthy}
}
