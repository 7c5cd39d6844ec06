package syncmanager

import (
	"cmp"
	"context"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// Tasks at the same time. A remote runtime, whatever addresses its components have, may cause half of what the others leave, so
// that those that take no answers leave something for the next; this runtime's own components have places that no remote one
// takes.
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

// work is who has tasks under way. Manager.mu guards it, but for turnsRemotes.
type work struct {
	by      map[message.URL]*causer // none stays without tasks
	running int
	remotes int // of these, of remote runtimes

	turnsRemotes chan struct{} // one for each turn
	unknown      causer        // whose tasks cannot be found: the Registry has forgotten an address meanwhile
}

// causer is a component of this runtime, or a remote runtime.
type causer struct {
	remote bool
	tasks  int
	turns  chan struct{} // one for each turn
}

func newWork() work {
	return work{by: make(map[message.URL]*causer), turnsRemotes: make(chan struct{}, maxTurnsRemotes), unknown: causer{remote: true, turns: make(chan struct{}, maxTurns)}}
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

// room tells whether one more task may begin.
func (w *work) room(c *causer) bool {
	if !c.remote {
		return w.running < maxTasks && c.tasks < maxTasksLocal
	}
	return w.remotes < maxTasksRemotes && c.tasks < min(maxTasksRemote, max(minTasksRemote, (maxTasksRemotes-w.remotes)/2))
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
	w := &m.work
	url, remote := m.of(sender)
	c := w.by[url]
	if c == nil {
		c = &causer{remote: remote, turns: make(chan struct{}, maxTurns)}
	}
	if m.closed {
		return false
	}
	if !w.room(c) {
		m.log.Warn("too many requests at once: one is dropped", "from", sender)
		return false
	}
	w.by[url] = c
	w.count(c, 1)
	m.tasks.Go(func() {
		defer func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			if w.count(c, -1); c.tasks == 0 {
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

func (w *work) count(c *causer, n int) {
	c.tasks += n
	w.running += n
	if c.remote {
		w.remotes += n
	}
}

// inTurn has f, in a task for sender, answer with an object's data when few such answers to it are under way: nothing is made
// of what waits. It does not run when ctx ends before.
func (m *Manager) inTurn(ctx context.Context, sender message.URL, f func()) {
	m.mu.Lock()
	url, _ := m.of(sender)
	c := m.work.by[url]
	m.mu.Unlock()
	if c == nil {
		c = &m.work.unknown
	}
	turns := []chan struct{}{c.turns}
	if c.remote {
		turns = append(turns, m.work.turnsRemotes)
	}
	for _, turn := range turns {
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
		case <-ctx.Done():
			return
		}
	}
	f()
}

// spawn is task without a limit, for what follows from what was there: its number is that of the objects. m.mu is
// held.
func (m *Manager) spawn(f func(ctx context.Context)) {
	if !m.closed {
		m.tasks.Go(func() { f(m.ctx) })
	}
}
