// Package process runs one process of a plug-in: it starts the process, confined and under the user that it is to have, opens
// the link to it, watches that it answers and keeps within its bounds, and puts everything away when it ends. What the plug-in
// says of the stubs that run in it goes to their [Run].
//
// A process is started by a thread that is confined as the process is to be and that stays until the process has exited:
// Linux kills a child when the thread ends that has started it.
package process

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/stubhost/family"
	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/core/stubhost/users"
)

// Options say what process is started, and how long is waited for it. All but Policy are required.
type Options struct {
	Name   string          // the plug-in's
	As     users.Identity  // the executable, and whom it runs under
	Folder string          // where the folder of the process is made
	Env    []string        // NAME=value, beside those that name its folder
	Poll   time.Duration   // see package busypoll
	Policy *sandbox.Policy // Keep, Paths and Search of what confines it; nil: it is not confined
	Quota  int64           // bytes that it may keep in its folder
	Log    hclog.Logger
	Family *family.Family // the host's processes

	StartTimeout time.Duration // from its start until its link works
	StopGrace    time.Duration // from asking it to end until it is killed
	Health       time.Duration // how often it is asked whether it is alive, and may take to answer
	Waits        Waits
	Late         context.Context // ends when there is no time left to wait for it to end
}

// Waits is how long is waited for a process that is ending or gone, while Options.Late goes on.
type Waits struct {
	Exit  time.Duration // for a process whose link has ended to exit by itself, so that its exit status is known; and the other way round
	Read  time.Duration // for what an exited process has written to be read: a child that it left behind may hold the pipe open
	Clear time.Duration // for what it has left behind to be killed
}
