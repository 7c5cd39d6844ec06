// Package stub has one deployed stub of the host: its state and its life over all the processes that run it in turn. It starts the stub in a process, starts it again when it
// fails, lets a new process take it over from an old one, and sends the status events that a run which has ended cannot send.
//
// A run is one start of the stub in a process, with its doors and its last statuses (package status). A [Stub] coordinates
// the runs: it has the lock and the goroutines. Its part runs decides which of two runs gets a message, and which of them
// reports the stub's status; it has no lock and no goroutine.
package stub

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/stubhost/process"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Errors that a caller may tell apart with errors.Is.
var (
	ErrNotDeployed = errors.New("no such stub is deployed")
	ErrNotRunning  = errors.New("the stub is not running at present: its plug-in is being started again")
	ErrHangs       = errors.New("the stub did not end in time when it was asked to")
)

// Spec is one stub to deploy; see sdk.Start for the fields.
type Spec struct {
	URL, Runtime    message.URL
	Role            sdk.Role
	Domain          string
	Remote, Handler message.URL
	Config          json.RawMessage
}

// Processes gives a stub the processes that it runs in.
type Processes interface {
	// EnsureProcess returns the running process of the plug-in, to start the stub in it. Where none runs it starts one and
	// waits for it. The error is ctx's or is returned to the caller
	// of Deploy.
	EnsureProcess(ctx context.Context) (*process.Process, error)
	// StubFailed is called when the stub has ended unexpectedly while its process goes on.
	StubFailed(err error)
}

// Options are the settings of every stub of a host. All but Prompt are required; see stubhost.Options.
type Options struct {
	Message func(ctx context.Context, stub message.URL, m message.Message) error
	Frames  func(ctx context.Context, stub, door message.URL, frames []sdk.Frame) bool
	Prompt  bool
	Log     hclog.Logger
	Group   *sync.WaitGroup // the host's Close waits for it

	StartTimeout time.Duration // from asking the plug-in to start the stub until the plug-in says that it has
	StopGrace    time.Duration // from asking the stub to end until it is dropped
	PostTimeout  time.Duration // how long Post waits for a stub that is being started again
	BackoffMin   time.Duration // the first delay before a stub is started again in the same process
	BackoffMax   time.Duration // the longest delay
	Healthy      time.Duration // the delays begin anew after a stub ran this long
}
