package registry

import (
	"encoding/json"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/sdk/message"
)

// register answers create: a new entry, or a new value of the same runtime's entry.
func (d *Registry) register(c *routing.Client, m message.Message) (message.Message, *refusal.Refusal) {
	if len(m.Body) > d.limits.Entry { // before memory is spent on it
		return message.Message{}, refusal.New(message.CodeTooLarge, "Domain Registry: an entry of %d bytes, at most %d are allowed", len(m.Body), d.limits.Entry)
	}
	var body struct {
		Value map[string]json.RawMessage `json:"value"`
	}
	if err := m.Decode(&body); err != nil || len(body.Value) == 0 {
		return message.Message{}, refusal.New(message.CodeBadRequest, "Domain Registry: create needs the entry as value")
	}
	e, r := parseEntry(c, body.Value)
	if e != nil {
		e.Source = d.state.SourceTerm(c.From)
	}
	if r != nil {
		return message.Message{}, r
	}
	if !d.rights.MayUse(c, e.URL) {
		return message.Message{}, refusal.New(message.CodeForbidden, "Domain Registry: %s is not an address of %s: it is neither under its URL nor allocated to it", e.URL, c.Runtime())
	}
	key := state.RegistrationKey(e.URL)
	if old := d.state.Registrations.Get(key); (old == nil || old.Status == state.Disconnected || old.Owner != c.Runtime()) && d.tooManyLive(c.Runtime()) {
		return message.Message{}, d.noneFree()
	}
	if err := d.forget(c.Context(), c); err != nil {
		return message.Message{}, d.writes.Failed(err)
	}
	before := ""
	r = d.change(c, key, func(old *state.Registration) (*state.Registration, error) {
		if old != nil && old.Owner != c.Runtime() && d.state.Owner(e.URL) != c.Runtime() {
			return nil, errOthers
		}
		if old != nil && old.Owner != e.Owner && issued(e) > 0 && issued(old) >= issued(e) {
			return nil, errBehind
		}
		if old != nil {
			before = old.StatusAt(e.Modified)
			if old.Owner == e.Owner {
				e.Since = time.Unix(0, old.HadSince()).UTC()
			}
		}
		return e, nil
	})
	if r != nil {
		return message.Message{}, r
	}
	first := before == "" && e.Status == state.Live && !e.URL.IsRuntime() // somebody may have waited for it
	if first || before != "" && before != e.Status {
		d.Announce(e.URL, e.Status)
	}
	return m.Respond(message.CodeOK, nil), nil
}
