package syncmanager

import (
	"cmp"
	"context"
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

// work is who has tasks under way. Manager.mu guards it, but for the turns.
type work struct {
	by      map[message.URL]*admission.Account // none stays without tasks
	all     admission.Quota                    // a component of this runtime has its share of these
	remotes admission.Quota                    // of all, those of remote runtimes

	turns, turnsRemotes admission.Gate // answers with data
}

func newWork() *work {
	w := &work{by: make(map[message.URL]*admission.Account), all: admission.Quota{All: maxTasks, Each: maxTasksLocal}}
	w.remotes = admission.Quota{All: maxTasksRemotes, Each: maxTasksRemote, Least: minTasksRemote, Within: &w.all}
	w.turns.Each = maxTurns
	w.turnsRemotes.Each, w.turnsRemotes.All = maxTurns, make(chan struct{}, maxTurnsRemotes)
	return w
}

// of is who counts for what the component causes.
func (m *Manager) of(component message.URL) (url message.URL, remote bool) {
	component = component.Canonical()
	if m.local(component) {
		return component, false
	}
	url = component.Runtime()
	if url == "" && m.o.Remote != nil {
		url = m.o.Remote(component)
	}
	return cmp.Or(url, component), true
}

// task runs f in a goroutine that Close waits for, on behalf of a sender that may have so many at a time and no more.
// It tells whether it does. m.mu is not held.
func (m *Manager) task(sender message.URL, f func(ctx context.Context)) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.begin(sender, f)
}

// begin is task with m.mu held.
func (m *Manager) begin(sender message.URL, f func(ctx context.Context)) bool {
	if m.closed {
		return false
	}
	w := m.work
	url, remote := m.of(sender)
	tasks, by := &w.all, w.by[url]
	if remote {
		tasks = &w.remotes
	}
	if by == nil {
		by = &admission.Account{}
	}
	if tasks.Charge(by, 1) != admission.Room {
		m.log.Warn("too many requests at once: one is dropped", "from", sender)
		return false
	}
	w.by[url] = by
	m.tasks.Go(func() {
		defer func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			if tasks.Add(by, -1); by.Used() == 0 {
				delete(w.by, url)
			}
		}()
		if !remote {
			f(m.ctx)
			return
		}
		ctx, cancel := context.WithTimeout(m.ctx, remoteTaskTime)
		defer cancel()
		f(ctx)
	})
	return true
}

// inTurn has f, in a task for sender, answer with an object's data when few such answers to it are under way: nothing is made
// of what waits. It does not run when ctx ends before.
func (m *Manager) inTurn(ctx context.Context, sender message.URL, f func()) {
	url, remote := m.of(sender)
	m.mu.Lock()
	_, known := m.work.by[url]
	m.mu.Unlock()
	if !known { // the Registry has forgotten the address meanwhile: all of those share the turns of one remote runtime
		url, remote = "", true
	}
	turns := &m.work.turns
	if remote {
		turns = &m.work.turnsRemotes
	}
	leave, err := turns.Enter(ctx, url)
	if err != nil {
		return
	}
	defer leave()
	f()
}

// spawn is task without a limit, for what follows from what was there: its number is that of the objects. m.mu is
// held.
func (m *Manager) spawn(f func(ctx context.Context)) {
	if !m.closed {
		m.tasks.Go(func() { f(m.ctx) })
	}
}
