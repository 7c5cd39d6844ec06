package syncmanager

import (
	"context"
	"slices"

	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/sdk/message"
)

// joinKey is an observer of this runtime, and the object that it is about to observe or to leave.
type joinKey struct{ object, observer message.URL }

func keyOf(object, observer message.URL) joinKey {
	return joinKey{object.Canonical(), observer.Canonical()}
}

// join is a subscribe of an observer of this runtime that is under way.
type join struct {
	key  joinKey
	left bool // the observer has unsubscribed since
}

// joins are the subscribes, and what is told of unsubscribes, that are under way. So an observer that comes, goes and comes again at
// once is what it asked for last, here and at the reporter's side. Its owner's lock guards it.
type joins struct {
	under map[joinKey][]*join
	ends  map[joinKey]chan struct{} // the reporter's side is being told that the observer has left; closed when it is
}

func newJoins() *joins {
	return &joins{under: make(map[joinKey][]*join), ends: make(map[joinKey]chan struct{})}
}

// begin enters a subscribe.
func (j *joins) begin(key joinKey) *join {
	one := &join{key: key}
	j.under[key] = append(j.under[key], one)
	return one
}

// end takes a subscribe out.
func (j *joins) end(one *join) {
	rest := slices.DeleteFunc(j.under[one.key], func(other *join) bool { return other == one })
	if j.under[one.key] = rest; len(rest) == 0 {
		delete(j.under, one.key)
	}
}

// leave is told that an observer has unsubscribed: what it subscribed to before is not to be.
func (j *joins) leave(key joinKey) {
	for _, one := range j.under[key] {
		one.left = true
	}
}

// about tells whether a subscribe is under way.
func (j *joins) about(key joinKey) bool { return len(j.under[key]) > 0 }

// errLeft is the answer to a subscribe whose observer has unsubscribed since.
func errLeft(object message.URL) error {
	return protocol.Refuse(message.CodeConflict, string(object)+" was unsubscribed from meanwhile")
}

// reportLeft has the reporter's side told, by a message, that an observer has left. A subscribe of the same observer waits for that.
func (m locked) reportLeft(key joinKey, tell message.Message) {
	told := make(chan struct{})
	m.work.joins.ends[key] = told
	end := func() {
		if m.work.joins.ends[key] == told {
			delete(m.work.joins.ends, key)
		}
		close(told)
	}
	started := m.task(key.observer, func(ctx context.Context) {
		m.post(ctx, tell)
		m := m.Manager.lock()
		defer m.unlock()
		end()
	})
	if !started {
		end()
	}
}

// awaitLeft waits until the reporter's side has been told of an unsubscribe of the observer.
func (m *Manager) awaitLeft(ctx context.Context, key joinKey) {
	l := m.lock()
	told := l.work.joins.ends[key]
	l.unlock()
	if told == nil {
		return
	}
	select {
	case <-told:
	case <-ctx.Done():
	}
}

// stays tells whether an observer that was just subscribed at the reporter's side is one still. Where it is not, that is told.
func (m locked) stays(o *observed, key joinKey, observer message.URL) bool {
	if now := m.observed[key.object]; now != nil && now.Observes(observer) {
		return now == o // else it has come again meanwhile
	}
	if !m.work.joins.about(key) {
		m.reportLeft(key, m.messages.Unsubscribe(o.URL(), observer))
	}
	return false
}
