// Package process runs one process of a plug-in. It starts the process, confined and under its user, opens
// the link to it, checks that it answers and keeps its limits, and cleans up when it ends. What the plug-in
// says of a stub that runs in it goes to the stub's [Run].
//
// A process inherits its confinement from the thread that starts it. That thread stays until the process has exited, since
// Linux kills a child when the thread that has started it ends.
package process

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/stubhost/descendants"
	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/core/stubhost/users"
)

// Options are the settings of one process. All but Policy are required.
type Options struct {
	Name        string          // the plug-in's
	As          users.Identity  // the executable, and the user that it runs under
	Folder      string          // the folder in which the process's own folder is made
	Env         []string        // NAME=value, beside the variables that name its folder
	Poll        time.Duration   // see package busypoll
	Policy      *sandbox.Policy // Keep, Paths and Search of its confinement; nil: it is not confined
	Quota       int64           // bytes that it may keep in its folder
	Log         hclog.Logger
	Descendants *descendants.Tracker // the host's processes

	StartTimeout  time.Duration // from its start until its link works
	StopGrace     time.Duration // from asking it to end until it is killed
	Health        time.Duration // the interval of health checks, and the time that it has to answer one
	Waits         Waits
	CloseDeadline context.Context // ends when the host has no time left to wait for the process's end
}

// Waits are the longest waits for a process that ends or has ended, until Options.CloseDeadline ends.
type Waits struct {
	Exit  time.Duration // for the exit of a process whose link has ended, so that its exit status is known, and the other way round
	Read  time.Duration // for the rest of its output: an orphan may hold the pipe open
	Clear time.Duration // for the end of the orphans that it has left behind
}
