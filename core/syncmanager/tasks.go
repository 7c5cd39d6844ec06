package syncmanager

import (
	"cmp"
	"context"

	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/sdk/message"
)

// of is what counts for what a component causes: a component of this runtime itself, of others the remote runtime.
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
// It tells whether it does.
func (m *Manager) task(sender message.URL, f func(ctx context.Context)) bool {
	l := m.lock()
	defer l.unlock()
	return l.task(sender, f)
}

// task does what Manager.task does.
func (m locked) task(sender message.URL, f func(ctx context.Context)) bool {
	if m.closed {
		return false
	}
	of, remote := m.of(sender)
	if !m.work.begin(of, remote) {
		m.log.Warn("too many requests at once: one is dropped", "from", sender)
		return false
	}
	m.tasks.Go(func() {
		defer m.ended(of, remote)
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

// ended counts one task less.
func (m *Manager) ended(of message.URL, remote bool) {
	l := m.lock()
	defer l.unlock()
	l.work.end(of, remote)
}

// answer posts a response, in a task of its own: the one who asked may be slow to take it.
func (m *Manager) answer(response message.Message) {
	l := m.lock()
	defer l.unlock()
	l.answer(response)
}

// answer does what Manager.answer does.
func (m locked) answer(response message.Message) {
	m.task(response.To, func(ctx context.Context) { m.post(ctx, response) })
}

// refuse answers with the code in err.
func (m *Manager) refuse(msg message.Message, err error) { m.answer(protocol.Refusal(msg, err)) }

// inTurn has f, in a task for sender, answer with an object's data when few such answers to it are under way: nothing is made
// of what waits. It does not run when ctx ends before.
func (m *Manager) inTurn(ctx context.Context, sender message.URL, f func()) {
	of, remote := m.of(sender)
	l := m.lock()
	known := l.work.busy(of)
	l.unlock()
	if !known { // the Registry has forgotten the address meanwhile: all of those share the turns of one remote runtime
		of, remote = "", true
	}
	turns := &m.work.turns
	if remote {
		turns = &m.work.turnsRemotes
	}
	leave, err := turns.Enter(ctx, of)
	if err != nil {
		return
	}
	defer leave()
	f()
}
