package syncmanager

import (
	"context"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/syncmanager/internal/limits"
	"github.com/protofly/protofly/core/syncmanager/internal/missed"
	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/core/syncmanager/internal/replica"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// Manager is a runtime's sync manager. It is made by [New] and must be closed. It has the lock, the goroutines and the
// listeners; what is known of objects is in the packages below.
type Manager struct {
	o        Options
	bus      Bus
	self     message.URL // <runtime>/sm
	messages protocol.Messages
	log      hclog.Logger
	ctx      context.Context // ends at Close
	cancel   context.CancelFunc
	tasks    sync.WaitGroup // every goroutine of the sync manager
	unhear   func()

	renewals chan struct{} // one for each renewal that asks
	alarm    chan struct{} // holds a token when the clock is to look what is due
	disk     disk          // where objects are kept
	life     string        // of this sync manager; another one of this runtime has another

	mu       sync.Mutex
	later    []func() // to be called when mu is unlocked
	closed   bool
	work     *work
	usage    *limits.Usage
	reported map[message.URL]*reported
	observed map[message.URL]*observed
	creating map[message.URL]struct{}      // wished addresses that are being registered
	leaving  map[message.URL]chan struct{} // deleted objects that are being unregistered; closed when that is done
	away     map[*reported]struct{}        // whose reporter is away
	contacts map[message.URL]*contact      // with the runtimes of observed objects
	missed   missed.Table                  // what other runtimes may not have heard of objects that are reported here
}

// locked is a Manager with its lock taken, from lock to unlock. Methods that need the lock are methods of locked.
type locked struct{ *Manager }

// lock locks mu.
func (m *Manager) lock() locked {
	m.mu.Lock()
	return locked{m}
}

// unlock unlocks mu and does what was left for then.
func (m locked) unlock() {
	later := m.later
	m.later = nil
	m.mu.Unlock()
	for _, f := range later {
		f()
	}
}

// afterwards has f called when mu is unlocked.
func (m locked) afterwards(f func()) { m.later = append(m.later, f) }

// objects is how many objects there are.
func (m locked) objects() int { return len(m.reported) + len(m.observed) }

// reports is the object that a component reports here, or the refusal where it does not.
func (m locked) reports(url, reporter message.URL) (*reported, error) {
	r := m.reported[url.Canonical()]
	if r == nil || !r.ReportedBy(reporter) {
		return nil, protocol.NotYours(url, r != nil)
	}
	return r, nil
}

// serves tells whether it is this object that is known at its address still.
func (m locked) serves(r *reported) bool { return m.reported[r.URL().Canonical()] == r }

// follows tells whether it is this object that is observed still.
func (m locked) follows(o *observed) bool { return m.observed[o.URL().Canonical()] == o }

// settle does what an object wants after something happened to it: its queues are sent, and it is packed a while after its
// last change.
func (m locked) settle(r *replica.Replica, packer *object.Packer) {
	for _, q := range r.Ready() {
		m.send(q)
	}
	if r.Changed() {
		packer.Changed(r.URL(), func() {
			m := m.lock()
			defer m.unlock()
			r.Pack(packer.Packed)
		})
	}
}

// send sends what is in a queue in a goroutine of its own, one behind the other: whoever is slow holds up nobody else.
func (m locked) send(q *replica.Queue) {
	m.spawn(func(ctx context.Context) {
		for {
			item, ok := m.next(q)
			if !ok {
				return
			}
			m.post(ctx, item.Message())
		}
	})
}

// next takes out what is to be sent next.
func (m *Manager) next(q *replica.Queue) (replica.Item, bool) {
	l := m.lock()
	defer l.unlock()
	if l.closed {
		return replica.Item{}, false
	}
	return q.Next()
}

// spawn runs f in a goroutine that Close waits for, without a limit: it is for what follows from what was there, so that
// their number is that of the objects.
func (m locked) spawn(f func(ctx context.Context)) {
	if !m.closed {
		m.tasks.Go(func() { f(m.ctx) })
	}
}

// post posts a message. That it could not be posted is nobody's business but the log's.
func (m *Manager) post(ctx context.Context, msg message.Message) {
	if err := m.bus.Post(ctx, msg); err != nil && ctx.Err() == nil {
		m.log.Debug("cannot post", "type", msg.Type, "to", msg.To, "error", err)
	}
}

// ask posts a request and returns its final response, or the refusal as an error.
func (m *Manager) ask(ctx context.Context, msg message.Message) (message.Message, error) {
	r, err := m.bus.Request(ctx, msg)
	if err != nil {
		return r, err
	}
	if r.From == "" { // a time-out answer that the bus made
		r.From = msg.To
	}
	_, err = r.OK()
	return r, err
}

// local tells whether a component of this runtime has the address.
func (m *Manager) local(component message.URL) bool {
	if r := component.Runtime(); r != "" && r != m.o.Runtime.Canonical() {
		return false
	}
	return m.o.Local == nil || m.o.Local(component)
}
