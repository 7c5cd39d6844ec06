package syncmanager

import (
	"context"

	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// listenForChildren has what comes to U/children/<name> of each name, and to U/children, served. It returns the ends
// of the listeners.
func (m *Manager) listenForChildren(r *reported) (stops []func()) {
	if len(r.Children()) == 0 {
		return nil
	}
	for _, name := range append([]string{""}, r.Children()...) {
		stops = append(stops, m.bus.Listen(object.Children(r.URL(), name), func(_ context.Context, msg message.Message) { m.child(r, name, msg) }))
	}
	return stops
}

// child serves an observer that makes, changes or removes a child object (specification, "Children"). The reporter
// decides, and publishes it as a part of the object: so children reach every observer in order, and those that come
// later with the object's value.
func (m *Manager) child(r *reported, name string, msg message.Message) {
	var body protocol.Child
	err := msg.Decode(&body)
	switch {
	case msg.Type == message.Response:
		return
	case err != nil:
	case msg.Type != message.Create && msg.Type != message.Update && msg.Type != message.Delete:
		err = protocol.Refuse(message.CodeBadRequest, string(msg.To)+" does not know "+msg.Type.String())
	case !m.observes(r, msg.From):
		err = protocol.Refuse(message.CodeForbidden, string(msg.From)+" does not observe "+string(r.URL()))
	}
	if err != nil {
		m.refuse(msg, err)
		return
	}
	if name != "" {
		body.Name = name
	}
	m.task(msg.From, func(ctx context.Context) {
		_, err := m.ask(ctx, m.messages.ForwardChild(msg.Type, r.Reporter(), r.URL(), msg.From, body))
		if err != nil {
			m.post(ctx, protocol.Refusal(msg, err))
			return
		}
		m.post(ctx, msg.Respond(message.CodeOK, nil))
	})
}

// observes tells whether a component, here or elsewhere, observes the object.
func (m *Manager) observes(r *reported, who message.URL) bool {
	l := m.lock()
	defer l.unlock()
	return r.ObservedBy(who)
}
