// Package stub runs one deployed stub over any number of processes: it has a process start the stub, starts it again when it
// fails, lets a new process take the stub over from an old one, and says what a run that has ended no longer can.
//
// A [Stub] coordinates: it has the lock and the goroutines. Each start of the stub in a process is a run, with its doors and
// with what it has last said (package status). Which of two runs a message is for, and which of them speaks for the stub,
// a succession decides, which has no lock and no goroutine.
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

// Errors that a caller decides by.
var (
	ErrNotDeployed = errors.New("no such stub is deployed")
	ErrNotRunning  = errors.New("the stub is not running at present: its plug-in is being started again")
	ErrHangs       = errors.New("the stub did not end in time when it was asked to")
)

// Spec is what is to be deployed; see sdk.Start for the fields.
type Spec struct {
	URL, Runtime    message.URL
	Role            sdk.Role
	Domain          string
	Remote, Handler message.URL
	Config          json.RawMessage
}

// Processes is where a stub's processes come from.
type Processes interface {
	// Process is the process that the stub is to be started in. It may wait for one. The error is ctx's or is told to whoever
	// has deployed the stub.
	Process(ctx context.Context) (*process.Process, error)
	// Troubled is told that the stub has ended unasked while its process goes on.
	Troubled(err error)
}

// Options are the settings of every stub of a host. All but Prompt are required; see stubhost.Options.
type Options struct {
	Message func(ctx context.Context, stub message.URL, m message.Message) error
	Frames  func(ctx context.Context, stub, door message.URL, frames []sdk.Frame) bool
	Prompt  bool
	Log     hclog.Logger
	Group   *sync.WaitGroup // whoever closes the host waits for it

	StartTimeout time.Duration // from having the plug-in start the stub until it says that it runs
	StopGrace    time.Duration // from asking the stub to end until it is given up
	PostTimeout  time.Duration // how long Post waits for a stub that is being started again
	BackoffMin   time.Duration // the first delay before a stub is started again whose process goes on
	BackoffMax   time.Duration // the longest
	Healthy      time.Duration // the delays begin anew after a stub ran this long
}
