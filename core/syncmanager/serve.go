package syncmanager

import (
	"context"
	"crypto/rand"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/syncmanager/internal/limits"
	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/sdk/message"
)

// New makes a sync manager, which serves at once.
func New(o Options) *Manager {
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	ctx, cancel := context.WithCancel(context.Background())
	self := o.Runtime.Join("sm")
	m := &Manager{
		o: o, bus: o.Bus, self: self, messages: protocol.Messages{Self: self}, log: o.Log, ctx: ctx, cancel: cancel,
		renewals: make(chan struct{}, maxRenewals), work: newWork(), usage: limits.New(o.Limits),
		reported: make(map[message.URL]*reported), observed: make(map[message.URL]*observed),
		creating: make(map[message.URL]struct{}), leaving: make(map[message.URL]chan struct{}),
		away: make(map[*reported]struct{}), contacts: make(map[message.URL]*contact), alarm: make(chan struct{}, 1), life: rand.Text(),
	}
	m.openFolder()
	m.tasks.Go(func() { m.keepTime(ctx) })
	m.unhear = m.bus.Listen(m.self, m.serve)
	return m
}

// Close ends the sync manager and waits for its goroutines. Nobody is told: remote runtimes come back when this one
// does.
func (m *Manager) Close() {
	l := m.lock()
	l.closed = true
	for _, r := range l.reported {
		for _, stop := range r.listens {
			l.afterwards(stop)
		}
		for _, stop := range r.forwards {
			l.afterwards(stop)
		}
	}
	for _, o := range l.observed {
		l.afterwards(o.stop)
	}
	clear(l.reported)
	clear(l.observed)
	clear(l.away)
	clear(l.contacts)
	l.unlock()
	m.cancel()
	m.unhear()
	m.tasks.Wait()
}

// serveRemote takes what other runtimes' sync managers say to this one.
func (m *Manager) serveRemote(msg message.Message) {
	switch {
	case msg.Type == message.Read && msg.From.Canonical() == msg.From.Runtime().Join("sm"):
		m.here(msg)
	case msg.Type == message.Delete:
		m.kicked(msg)
	default:
		m.answer(msg.Refuse(message.CodeForbidden, "%s serves this runtime's components; ask at an object's /subscription", m.self))
	}
}

// serve takes what this runtime's synchers ask for.
func (m *Manager) serve(_ context.Context, msg message.Message) {
	if msg.Type == message.Response {
		return
	}
	if !m.local(msg.From) {
		m.serveRemote(msg)
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
		err = protocol.Refuse(message.CodeBadRequest, "the sync manager does not know "+msg.Type.String())
	}
	if err != nil {
		m.refuse(msg, err)
	}
}
