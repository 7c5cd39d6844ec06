package registry

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/sdk/message"
)

// checkTerms bounds the fields by which an entry can be found: the node keeps them in several forms.
func checkTerms(r *state.Registration) *refusal.Refusal {
	if name, size := r.LongTerm(); name != "" {
		return refusal.New(message.CodeTooLarge, "Domain Registry: %s: %d bytes, at most %d are allowed", name, size, message.MaxURL)
	}
	return nil
}

// parseEntry checks an entry from outside.
func parseEntry(c *routing.Client, value map[string]json.RawMessage) (*state.Registration, *refusal.Refusal) {
	e := &state.Registration{Owner: c.Runtime(), Fields: maps.Clone(value), Started: time.Now().UTC()}
	e.Modified = e.Started
	u, err := message.ParseURL(e.Field("url"))
	if err != nil {
		return nil, refusal.New(message.CodeBadRequest, "Domain Registry: url: %v", err)
	}
	e.URL = u
	if r := checkTerms(e); r != nil {
		return nil, r
	}
	for _, name := range mandatory(u) {
		if _, ok := value[name]; !ok {
			return nil, refusal.New(message.CodeBadRequest, "Domain Registry: the entry of %s has no %s", u, name)
		}
	}
	if runtime := message.URL(e.Field("runtime")); runtime.Canonical() != c.Runtime() {
		return nil, refusal.New(message.CodeForbidden, "Domain Registry: runtime is %.200q, but %s registers", string(runtime), c.Runtime())
	}
	if e.Status = strings.ToLower(e.Field("status")); e.Status != state.Live && e.Status != state.Disconnected {
		return nil, refusal.New(message.CodeBadRequest, "Domain Registry: status %.40q: want live or disconnected", e.Status)
	}
	var expires float64
	if err := json.Unmarshal(value["expires"], &expires); err != nil || expires <= 0 {
		return nil, refusal.New(message.CodeBadRequest, "Domain Registry: expires: want the seconds until a keep-alive is due")
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

// change changes an entry that must be the runtime's own; f returns errOthers if it is not.
func (d *Registry) change(c *routing.Client, key string, f func(*state.Registration) (*state.Registration, error)) *refusal.Refusal {
	if r := d.writes.May(c, c.Runtime(), 1); r != nil {
		return r
	}
	ctx, cancel := d.state.Within(c.Context())
	defer cancel()
	err := d.state.Registrations.Change(ctx, key, f)
	switch {
	case errors.Is(err, errOthers):
		return refusal.New(message.CodeForbidden, "Domain Registry: the entry belongs to another runtime")
	case errors.As(err, new(*entrySize)):
		return refusal.New(message.CodeTooLarge, "Domain Registry: the entry would have more than %d bytes", d.limits.Entry)
	case errors.Is(err, errBehind):
		return refusal.New(message.CodeConflict, "Domain Registry: the runtime that had the address signed an entry for it later than this one was signed, so readers would ignore this one: "+
			"the clock of %s is behind; correct it", c.Runtime())
	case errors.Is(err, errTooMany):
		return d.noneFree()
	case errors.Is(err, errUnknown):
		return refusal.New(message.CodeNotFound, "Domain Registry: there is no such entry")
	}
	return d.writes.Failed(err)
}

// errOthers says that an entry is another runtime's.
var errOthers = errors.New("belongs to another runtime")

var errUnknown = errors.New("no such entry")

// errBehind says that an entry was signed before that of the runtime which had the address before.
var errBehind = errors.New("signed before the entry that it follows")

// issued is when the proof of an entry was issued, in Unix milliseconds; 0: it has none.
func issued(r *state.Registration) int64 {
	var proof struct {
		Issued int64 `json:"issued"`
	}
	_ = json.Unmarshal(r.Fields["proof"], &proof)
	return proof.Issued
}

// errTooMany says that a runtime may have no further live entry.
var errTooMany = errors.New("too many entries")

func (d *Registry) noneFree() *refusal.Refusal {
	return refusal.New(message.CodeTooMany, "Domain Registry: the runtime has %d live entries, no more are allowed", d.limits.Registrations)
}

// Announce publishes a change of status to whoever subscribes to <url>/registration.
func (d *Registry) Announce(u message.URL, status string) {
	d.router.Publish(message.Message{Type: message.Update, From: message.DomainRegistryAddress(d.domain), To: u.Join("registration"),
		ID: message.NumberID(d.last.Add(1)), Body: message.Encode(map[string]string{"attribute": "status", "value": status})})
}

// maxExpires is how long an entry may be without a keep-alive, in seconds.
const maxExpires = 3600

// entrySize is the error of an update that would make an entry too large.
type entrySize struct{ bytes int }
