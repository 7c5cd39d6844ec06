package node

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/sdk/message"
)

// maxExpires is how long an entry may be without a keep-alive, in seconds.
const maxExpires = 3600

// domainRegistry is the node's function domain://registry.<domain>.
func (n *Node) domainRegistry(c *conn, m message.Message) (message.Message, *refusal) {
	switch m.Type {
	case message.Create:
		return n.register(c, m)
	case message.Read:
		return n.look(c, m)
	case message.Update:
		return n.reregister(c, m)
	case message.Delete:
		return n.unregister(c, m)
	}
	return message.Message{}, refuse(message.CodeBadRequest, "Domain Registry: %s is not one of create, read, update, delete", m.Type)
}

// register is create: a new entry, or the same runtime's entry anew.
func (n *Node) register(c *conn, m message.Message) (message.Message, *refusal) {
	if len(m.Body) > n.opts.Limits.Entry { // before memory is spent on it
		return message.Message{}, refuse(message.CodeTooLarge, "Domain Registry: an entry of %d bytes, at most %d are allowed", len(m.Body), n.opts.Limits.Entry)
	}
	var body struct {
		Value map[string]json.RawMessage `json:"value"`
	}
	if err := m.Decode(&body); err != nil || len(body.Value) == 0 {
		return message.Message{}, refuse(message.CodeBadRequest, "Domain Registry: create needs the entry as value")
	}
	e, r := newRegistration(c, body.Value)
	if e != nil {
		e.Source = n.SourceTerm(c.from)
	}
	if r != nil {
		return message.Message{}, r
	}
	if !n.mayUse(c, e.URL) {
		return message.Message{}, refuse(message.CodeForbidden, "Domain Registry: %s is not an address of %s: it is neither under its URL nor allocated to it", e.URL, c.runtime)
	}
	key := state.RegistrationKey(e.URL)
	if n.Registrations.Get(key) == nil && n.Registrations.Count("r:"+string(c.runtime)) >= n.opts.Limits.Registrations {
		return message.Message{}, refuse(message.CodeTooMany, "Domain Registry: the runtime has %d entries, no more are allowed", n.opts.Limits.Registrations)
	}
	before := ""
	r = n.changeRegistration(c, key, func(old *state.Registration) (*state.Registration, error) {
		if old != nil && old.Owner != c.runtime && n.Owner(e.URL) != c.runtime {
			return nil, errConflict
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
	if before != "" && before != e.Status {
		n.announce(e.URL, e.Status)
	}
	return m.Respond(message.CodeOK, nil), nil
}

// checkTerms bounds what an entry can be found by: the node keeps that in several forms.
func checkTerms(r *state.Registration) *refusal {
	if name, size := r.LongTerm(); name != "" {
		return refuse(message.CodeTooLarge, "Domain Registry: %s: %d bytes, at most %d are allowed", name, size, message.MaxURL)
	}
	return nil
}

// newRegistration checks an entry from outside.
func newRegistration(c *conn, value map[string]json.RawMessage) (*state.Registration, *refusal) {
	e := &state.Registration{Owner: c.runtime, Fields: maps.Clone(value), Started: time.Now().UTC()}
	e.Modified = e.Started
	u, err := message.ParseURL(e.Field("url"))
	if err != nil {
		return nil, refuse(message.CodeBadRequest, "Domain Registry: url: %v", err)
	}
	e.URL = u
	if r := checkTerms(e); r != nil {
		return nil, r
	}
	for _, name := range mandatory(u) {
		if _, ok := value[name]; !ok {
			return nil, refuse(message.CodeBadRequest, "Domain Registry: the entry of %s has no %s", u, name)
		}
	}
	if runtime := message.URL(e.Field("runtime")); runtime.Canonical() != c.runtime {
		return nil, refuse(message.CodeForbidden, "Domain Registry: runtime is %.200q, but %s registers", string(runtime), c.runtime)
	}
	if e.Status = strings.ToLower(e.Field("status")); e.Status != state.Live && e.Status != state.Disconnected {
		return nil, refuse(message.CodeBadRequest, "Domain Registry: status %.40q: want live or disconnected", e.Status)
	}
	var expires float64
	if err := json.Unmarshal(value["expires"], &expires); err != nil || expires <= 0 {
		return nil, refuse(message.CodeBadRequest, "Domain Registry: expires: want the seconds until a keep-alive is due")
	}
	e.Expires = max(1, int(min(expires, maxExpires)))
	for _, name := range []string{"url", "hypertyID", "userID", "status", "expires", "startingTime", "lastModified"} {
		delete(e.Fields, name)
	}
	return e, nil
}

// mandatory are the fields that an entry must have (specification, "Domain registry").
func mandatory(u message.URL) []string {
	switch {
	case u.Scheme() == message.SchemeHyperty:
		return []string{"expires", "dataSchemes", "resources", "runtime", "status", "descriptor"}
	case u.IsRuntime():
		return []string{"expires", "runtime", "status"}
	default:
		return []string{"schema", "name", "reporter", "resources", "dataSchemes", "status", "expires", "runtime"}
	}
}

// changeRegistration changes an entry that must be the runtime's own; f says errConflict where it is not.
func (n *Node) changeRegistration(c *conn, key string, f func(*state.Registration) (*state.Registration, error)) *refusal {
	if r := n.writable(c, c.runtime, 1); r != nil {
		return r
	}
	ctx, cancel := context.WithTimeout(c.ctx, n.opts.Times.State)
	defer cancel()
	err := n.Registrations.Change(ctx, key, f)
	switch {
	case errors.Is(err, errConflict):
		return refuse(message.CodeForbidden, "Domain Registry: the entry belongs to another runtime")
	case errors.As(err, new(*entrySize)):
		return refuse(message.CodeTooLarge, "Domain Registry: the entry would have more than %d bytes", n.opts.Limits.Entry)
	case errors.Is(err, errUnknown):
		return refuse(message.CodeNotFound, "Domain Registry: there is no such entry")
	}
	return n.stateRefusal(err)
}

var errUnknown = errors.New("no such entry")

// announce publishes a change of status to whoever subscribes to <url>/registration.
func (n *Node) announce(u message.URL, status string) {
	n.publish(message.Message{Type: message.Update, From: message.DomainRegistryAddress(n.opts.Domain), To: u.Join("registration"),
		ID: message.NumberID(n.lastNotice.Add(1)), Body: message.Encode(map[string]string{"attribute": "status", "value": status})})
}
