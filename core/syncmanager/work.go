package syncmanager

import (
	"time"

	"github.com/protofly/protofly/core/admission"
	"github.com/protofly/protofly/sdk/message"
)

// Tasks at the same time. A remote runtime, whatever addresses its components have, may have no more than half as many as are
// free, so that those that take no answers leave something for the next; this runtime's own components have places that no remote
// one takes.
const (
	maxTasks        = 1 << 15
	maxTasksLocal   = 1 << 12      // of one component of this runtime
	maxTasksRemote  = 1 << 11      // of one remote runtime
	maxTasksRemotes = maxTasks / 2 // of all remote runtimes
	minTasksRemote  = 16           // that one remote runtime may have in any case, while they have places

	maxTurns        = 2           // answers with an object's data that are under way to one component, or one remote runtime
	maxTurnsRemotes = 256         // and to all remote runtimes
	remoteTaskTime  = time.Minute // of a task for a remote runtime, which may never take the answer
)

// work is who has tasks under way. Its owner's lock guards it, but for the turns.
type work struct {
	by      map[message.URL]*admission.Account // none stays without tasks
	all     admission.Quota                    // a component of this runtime has its share of these
	remotes admission.Quota                    // of all, those of remote runtimes
	joins   *joins                             // of components of this runtime

	turns, turnsRemotes admission.Gate // answers with data
}

func newWork() *work {
	w := &work{joins: newJoins(), by: make(map[message.URL]*admission.Account), all: admission.Quota{All: maxTasks, Each: maxTasksLocal}}
	w.remotes = admission.Quota{All: maxTasksRemotes, Each: maxTasksRemote, Least: minTasksRemote, Within: &w.all}
	w.turns.Each = maxTurns
	w.turnsRemotes.Each, w.turnsRemotes.All = maxTurns, make(chan struct{}, maxTurnsRemotes)
	return w
}

// begin counts a task of a component of this runtime, or of a remote runtime. It refuses where there are too many.
func (w *work) begin(of message.URL, remote bool) bool {
	by := w.by[of]
	if by == nil {
		by = &admission.Account{}
	}
	if w.quota(remote).Charge(by, 1) != admission.Room {
		return false
	}
	w.by[of] = by
	return true
}

// end counts one task less.
func (w *work) end(of message.URL, remote bool) {
	by := w.by[of]
	if w.quota(remote).Add(by, -1); by.Used() == 0 {
		delete(w.by, of)
	}
}

// busy tells whether tasks of a component, or of a remote runtime, are under way.
func (w *work) busy(of message.URL) bool { return w.by[of] != nil }

func (w *work) quota(remote bool) *admission.Quota {
	if remote {
		return &w.remotes
	}
	return &w.all
}
