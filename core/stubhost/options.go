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
type Instance = stub.Spec

// stubs is what of the options is each stub's. group is what Close waits for.
func (o *Options) stubs(group *sync.WaitGroup) *stub.Options {
	return &stub.Options{Message: o.Message, Frames: o.Frames, Prompt: o.Prompt, Log: o.Log, Group: group,
		StartTimeout: o.StartTimeout, StopGrace: o.StopGrace, PostTimeout: o.PostTimeout,
		BackoffMin: o.BackoffMin, BackoffMax: o.BackoffMax, Healthy: o.Healthy}
}
