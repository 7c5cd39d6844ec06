package syncmanager

import (
	"context"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/sdk/message"
)

// New makes a sync manager, which serves at once.
func New(o Options) *Manager {
	o.Limits = o.Limits.withDefaults()
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &Manager{
		o: o, bus: o.Bus, self: o.Runtime.Join("sm"), log: o.Log, ctx: ctx, cancel: cancel,
		renewals: make(chan struct{}, maxRenewals),
		work:     newWork(), reported: make(map[message.URL]*reported), observed: make(map[message.URL]*observed),
		creating: make(map[message.URL]struct{}), leaving: make(map[message.URL]chan struct{}), watching: make(map[message.URL]int), owned: make(map[message.URL]int), follows: make(map[message.URL]int),
	}
	m.unhear = m.bus.Listen(m.self, m.serve)
	return m
}

// Close ends the sync manager and waits for its goroutines. Nobody is told: remote runtimes come back when this one
// does.
func (m *Manager) Close() {
	m.mu.Lock()
	m.closed = true
	var stops []func()
	for _, r := range m.reported {
		stops = append(stops, r.stops...)
		for _, remote := range r.remotes {
			stops = append(stops, remote.stop)
		}
	}
	for _, o := range m.observed {
		stops = append(stops, o.stop)
	}
	m.reported, m.observed = make(map[message.URL]*reported), make(map[message.URL]*observed)
	m.mu.Unlock()
	m.cancel()
	m.unhear()
	for _, stop := range stops {
		stop()
	}
	m.tasks.Wait()
}

// serve takes what this runtime's synchers ask for.
func (m *Manager) serve(_ context.Context, msg message.Message) {
	if msg.Type == message.Response {
		return
	}
	if !m.local(msg.From) {
		m.answer(msg.Refuse(message.CodeForbidden, "%s serves this runtime's components; ask at an object's /subscription", m.self))
		return
	}
	var err error
	switch msg.Type {
	case message.Update:
		err = m.update(msg)
	case message.Create:
		err = m.create(msg)
	case message.Subscribe:
		err = m.subscribe(msg)
	case message.Unsubscribe:
		err = m.unsubscribe(msg)
	case message.Delete:
		err = m.delete(msg)
	case message.Read:
		err = m.read(msg)
	default:
		err = refuse(message.CodeBadRequest, "the sync manager does not know "+msg.Type.String())
	}
	if err != nil {
		m.refuse(msg, err)
	}
}
