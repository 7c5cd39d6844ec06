package syncmanager

import (
	"context"
	"encoding/json"

	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// listenForChildren has what comes to U/children/<name> of each name, and to U/children, served. It returns the ends
// of the listeners. m.mu is held.
func (m *Manager) listenForChildren(r *reported) (stops []func()) {
	if len(r.children) == 0 {
		return nil
	}
	for _, name := range append([]string{""}, r.children...) {
		stops = append(stops, m.bus.Listen(object.Children(r.url, name), func(_ context.Context, msg message.Message) { m.child(r, name, msg) }))
	}
	return stops
}

// child serves an observer that makes, changes or removes a child object (specification, "Children"). The reporter
// decides, and publishes it as a part of the object: so children reach every observer in order, and those that come
// later with the object's value.
func (m *Manager) child(r *reported, name string, msg message.Message) {
	var body struct {
		Name      string          `json:"name,omitempty"`
		Resource  string          `json:"resource"`
		Attribute string          `json:"attribute,omitempty"`
		Value     json.RawMessage `json:"value,omitempty"`
	}
	err := msg.Decode(&body)
	switch {
	case msg.Type == message.Response:
		return
	case err != nil:
	case msg.Type != message.Create && msg.Type != message.Update && msg.Type != message.Delete:
		err = refuse(message.CodeBadRequest, string(msg.To)+" does not know "+msg.Type.String())
	case !m.observes(r, msg.From):
		err = refuse(message.CodeForbidden, string(msg.From)+" does not observe "+string(r.url))
	}
	if err != nil {
		m.refuse(msg, err)
		return
	}
	if name != "" {
		body.Name = name
	}
	m.task(msg.From, func(ctx context.Context) {
		_, err := m.ask(ctx, message.Message{Type: message.Forward, From: m.self, To: r.reporter, Body: message.Encode(map[string]any{
			"type": msg.Type, "from": msg.From, "to": r.url, "child": body,
		})})
		if err != nil {
			m.post(ctx, refusal(msg, err))
			return
		}
		m.post(ctx, msg.Respond(message.CodeOK, nil))
	})
}

// observes tells whether a component, here or elsewhere, observes the object.
func (m *Manager) observes(r *reported, who message.URL) bool {
	who = who.Canonical()
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.followers[who] != nil {
		return true
	}
	for _, to := range r.remotes {
		if _, ok := to.observers[who]; ok {
			return true
		}
	}
	return false
}

// names are the names of children, never null in JSON.
func names(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
