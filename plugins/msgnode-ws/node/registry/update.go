package registry

import (
	"encoding/json"
	"maps"
	"strings"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/sdk/message"
)

// reregister answers update: keep alive (no value), new values, or unregister in each of its forms.
func (d *Registry) reregister(c *routing.Client, m message.Message) (message.Message, *refusal.Refusal) {
	if len(m.Body) > d.limits.Entry { // before memory is spent on it
		return message.Message{}, refusal.New(message.CodeTooLarge, "Domain Registry: an update of %d bytes, at most %d are allowed", len(m.Body), d.limits.Entry)
	}
	var body struct {
		Resource  string          `json:"resource"`
		Attribute string          `json:"attribute"`
		Value     json.RawMessage `json:"value"`
	}
	if err := m.Decode(&body); err != nil {
		return message.Message{}, refusal.New(message.CodeBadRequest, "Domain Registry: %v", err)
	}
	u, r := d.registered(body.Resource)
	if r != nil {
		return message.Message{}, r
	}
	changes := map[string]json.RawMessage{}
	var word string
	switch {
	case len(body.Value) == 0 || string(body.Value) == "null": // keep alive
	case body.Attribute != "":
		changes[body.Attribute] = body.Value
	case json.Unmarshal(body.Value, &word) == nil:
		changes["status"] = body.Value
	case json.Unmarshal(body.Value, &changes) != nil:
		return message.Message{}, refusal.New(message.CodeBadRequest, "Domain Registry: value: want an object with the fields to change")
	}
	if r := d.updateRegistration(c, u, changes); r != nil {
		return message.Message{}, r
	}
	return m.Respond(message.CodeOK, nil), nil
}

// unregister answers delete: the entry's status becomes disconnected, as after the other forms.
func (d *Registry) unregister(c *routing.Client, m message.Message) (message.Message, *refusal.Refusal) {
	var body struct {
		Resource string `json:"resource"`
	}
	if err := m.Decode(&body); err != nil {
		return message.Message{}, refusal.New(message.CodeBadRequest, "Domain Registry: %v", err)
	}
	u, r := d.registered(body.Resource)
	if r != nil {
		return message.Message{}, r
	}
	if r := d.updateRegistration(c, u, map[string]json.RawMessage{"status": message.Encode(state.Disconnected)}); r != nil {
		return message.Message{}, r
	}
	return m.Respond(message.CodeOK, nil), nil
}

// registered finds the entry that a resource means: an address, /<type>/<address>, or /<type>/<id> in this domain.
func (d *Registry) registered(resource string) (message.URL, *refusal.Refusal) {
	u, ok := resourceURL(resource)
	if rest, slash := strings.CutPrefix(resource, "/"); !ok && slash {
		scheme, id, _ := strings.Cut(rest, "/")
		var err error
		u, err = message.ParseURL(scheme + "://" + d.domain + "/" + id)
		ok = err == nil && id != ""
	}
	if !ok {
		return "", refusal.New(message.CodeBadRequest, "Domain Registry: resource %.200q: want the address of an entry", resource)
	}
	if !d.state.Valid(d.state.Registrations.Get(state.RegistrationKey(u))) {
		return "", refusal.New(message.CodeNotFound, "Domain Registry: %s is not registered", u)
	}
	return u, nil
}

// updateRegistration changes fields of an entry and keeps it alive.
func (d *Registry) updateRegistration(c *routing.Client, u message.URL, changes map[string]json.RawMessage) *refusal.Refusal {
	status := state.Live // an update without a status is a sign of life
	if raw, ok := changes["status"]; ok {
		var word string
		if err := json.Unmarshal(raw, &word); err != nil {
			return refusal.New(message.CodeBadRequest, "Domain Registry: status: want live or disconnected")
		}
		if status = strings.ToLower(word); status != state.Live && status != state.Disconnected {
			return refusal.New(message.CodeBadRequest, "Domain Registry: status %.40q: want live or disconnected", word)
		}
	}
	expires := 0
	if raw, ok := changes["expires"]; ok {
		var given float64
		if err := json.Unmarshal(raw, &given); err != nil || given <= 0 {
			return refusal.New(message.CodeBadRequest, "Domain Registry: expires: want the seconds until a keep-alive is due")
		}
		expires = max(1, int(min(given, maxExpires)))
	}
	before := ""
	r := d.change(c, state.RegistrationKey(u), func(old *state.Registration) (*state.Registration, error) {
		if old == nil {
			return nil, errUnknown
		}
		if old.Owner != c.Runtime() {
			return nil, errOthers
		}
		if old.Status == state.Disconnected && status == state.Live && d.tooManyLive(c.Runtime()) {
			return nil, errTooMany
		}
		now := time.Now().UTC()
		before = old.StatusAt(now)
		e := *old
		e.Status, e.Modified = status, now
		if expires > 0 {
			e.Expires = expires
		}
		e.Fields = withChanges(old.Fields, changes)
		if size := len(message.Encode(e.Fields)); size > d.limits.Entry {
			return nil, &entrySize{size}
		}
		if r := checkTerms(&e); r != nil {
			return nil, &entrySize{message.MaxURL}
		}
		return &e, nil
	})
	if r != nil {
		return r
	}
	if before != status {
		d.Announce(u, status)
	}
	if status == state.Disconnected {
		return d.writes.Failed(d.forget(c.Context(), c))
	}
	return nil
}

// withChanges are the fields of an entry with those that may be changed.
func withChanges(fields, changes map[string]json.RawMessage) map[string]json.RawMessage {
	fields = maps.Clone(fields)
	for name, value := range changes {
		switch name {
		case "url", "hypertyID", "userID", "runtime", "status", "expires", "startingTime", "lastModified": // not to be changed, or done
		default:
			fields[name] = value
		}
	}
	return fields
}

func (e *entrySize) Error() string { return "the entry is too large" }
