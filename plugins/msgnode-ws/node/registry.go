package node

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refjson"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/shelves"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/table"
	"github.com/protofly/protofly/sdk/message"
)

// registration is an entry of the Domain Registry: a hyperty, a data object or a runtime, and where it is.
type registration struct {
	URL      message.URL                `json:"url"`
	Owner    message.URL                `json:"owner"` // the runtime that registered it, and alone may change it
	Status   string                     `json:"status"`
	Expires  int                        `json:"expires"` // seconds without a keep-alive until it counts as disconnected
	Started  time.Time                  `json:"started"`
	Modified time.Time                  `json:"modified"`
	Fields   map[string]json.RawMessage `json:"fields"`           // the rest, as it was given
	Source   string                     `json:"source,omitempty"` // whom it is counted by: see sourceTerm
	Since    time.Time                  `json:"since,omitzero"`   // when the owner first had it; zero: Started
}

const (
	live         = "live"
	disconnected = "disconnected"
	maxExpires   = 3600 // seconds
)

func (r *registration) terms() []string {
	terms := []string{"r:" + string(r.Owner), "u:" + string(r.URL.Canonical()), "scheme:" + r.URL.Scheme()}
	if user := r.field("user"); user != "" {
		terms = append(terms, "user:"+user)
		if u, err := message.ParseURL(user); err == nil {
			id := strings.TrimPrefix(u.Path(), "/")
			terms = append(terms, "idp:"+id)
			if !strings.Contains(id, "@") {
				terms = append(terms, "idp:"+id+"@"+u.Domain())
			}
		}
	}
	if guid := r.field("guid"); guid != "" {
		terms = append(terms, "user:"+guid)
	}
	if name := r.field("name"); name != "" {
		terms = append(terms, "name:"+name)
	}
	return withSource(terms, r.Source)
}

// place is where the entry stands among those that are found by the same: by the address that it came from, or, where that
// stands for many, its own runtime.
func (r *registration) place() shelves.Place {
	p := shelves.Place{Terms: r.terms(), Address: r.Source, Runtime: string(r.Owner), Since: r.since(), Size: r.size()}
	p.Site, _, _ = strings.Cut(r.Source, sitesAddress) // see [Node.sourceTerm]
	p.Address, p.Site = cmp.Or(p.Address, p.Runtime), cmp.Or(p.Site, p.Runtime)
	return p
}

// registrationTable is the table of the Domain Registry. Strangers' entries are found beside each other by what is shelved.
func registrationTable(name string) table.Options[registration] {
	return table.Options[registration]{Name: name, Terms: (*registration).terms,
		Shelves: shelves.New((*registration).place, "scheme", "user", "idp", "name")}
}

// since is when the owner first had the entry, whatever it has put into it since then.
func (r *registration) since() int64 {
	if r.Since.IsZero() {
		return r.Started.UnixNano()
	}
	return r.Since.UnixNano()
}

// checkTerms bounds what an entry can be found by: the node keeps that in several forms.
func (r *registration) checkTerms() *refusal {
	for _, name := range []string{"user", "guid", "name"} {
		if text := r.field(name); len(text) > message.MaxURL {
			return refuse(message.CodeTooLarge, "Domain Registry: %s: %d bytes, at most %d are allowed", name, len(text), message.MaxURL)
		}
	}
	return nil
}

// valid tells whether the entry is its address's owner's: one of an address that was given to another runtime since is
// nobody's.
func (n *Node) valid(r *registration) bool {
	if r == nil {
		return false
	}
	if r.URL.IsRuntime() {
		return true
	}
	owner := n.owner(r.URL)
	return owner == "" || owner == r.Owner
}

// field is a text field, "" where it is absent or no text.
func (r *registration) field(name string) string {
	var s string
	_ = json.Unmarshal(r.Fields[name], &s)
	return s
}

// size is how many bytes the entry has in an answer, or a few more. What values are escaped to is in them already.
func (r *registration) size() int {
	size := 2*escaped(string(r.URL)) + 200
	for name, value := range r.Fields {
		size += escaped(name) + len(value) + 4
	}
	return size
}

// escaped is how long a text is in JSON at most.
func escaped(text string) int {
	size := len(text)
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || strings.IndexByte(`"\<>&`, c) >= 0 {
			size += 5
		}
	}
	return size
}

// list is a field that is a list of texts.
func (r *registration) list(name string) refjson.Names {
	var l refjson.Names
	_ = json.Unmarshal(r.Fields[name], &l)
	return l
}

// status is the status as of now: an entry that was not kept alive is disconnected, also before the sweep writes it.
func (r *registration) status(now time.Time) string {
	if r.Status == live && now.Sub(r.Modified) > time.Duration(r.Expires)*time.Second {
		return disconnected
	}
	return r.Status
}

// entry is the form in which the specification's registry returns an entry: hypertyID and userID for url and user.
func (r *registration) entry(now time.Time) map[string]any {
	e := make(map[string]any, len(r.Fields)+6)
	for name, value := range r.Fields {
		e[name] = value
	}
	if user, ok := r.Fields["user"]; ok {
		delete(e, "user")
		e["userID"] = user
	}
	if r.URL.Scheme() == message.SchemeHyperty {
		e["hypertyID"] = r.URL
	} else {
		e["url"] = r.URL
	}
	const iso = "2006-01-02T15:04:05.000Z"
	e["status"], e["expires"] = r.status(now), r.Expires
	e["startingTime"], e["lastModified"] = r.Started.UTC().Format(iso), r.Modified.UTC().Format(iso)
	return e
}

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

func registrationKey(u message.URL) string { return backbone.Hash(string(u.Canonical())) }

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
		e.Source = n.sourceTerm(c.from)
	}
	if r != nil {
		return message.Message{}, r
	}
	if !n.mayUse(c, e.URL) {
		return message.Message{}, refuse(message.CodeForbidden, "Domain Registry: %s is not an address of %s: it is neither under its URL nor allocated to it", e.URL, c.runtime)
	}
	key := registrationKey(e.URL)
	if n.registrations.Get(key) == nil && n.registrations.Count("r:"+string(c.runtime)) >= n.opts.Limits.Registrations {
		return message.Message{}, refuse(message.CodeTooMany, "Domain Registry: the runtime has %d entries, no more are allowed", n.opts.Limits.Registrations)
	}
	before := ""
	r = n.changeRegistration(c, key, func(old *registration) (*registration, error) {
		if old != nil && old.Owner != c.runtime && n.owner(e.URL) != c.runtime {
			return nil, errConflict
		}
		if old != nil {
			before = old.status(e.Modified)
			if old.Owner == e.Owner {
				e.Since = time.Unix(0, old.since()).UTC()
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

// newRegistration checks an entry from outside.
func newRegistration(c *conn, value map[string]json.RawMessage) (*registration, *refusal) {
	e := &registration{Owner: c.runtime, Fields: maps.Clone(value), Started: time.Now().UTC()}
	e.Modified = e.Started
	u, err := message.ParseURL(e.field("url"))
	if err != nil {
		return nil, refuse(message.CodeBadRequest, "Domain Registry: url: %v", err)
	}
	e.URL = u
	if r := e.checkTerms(); r != nil {
		return nil, r
	}
	for _, name := range mandatory(u) {
		if _, ok := value[name]; !ok {
			return nil, refuse(message.CodeBadRequest, "Domain Registry: the entry of %s has no %s", u, name)
		}
	}
	if runtime := message.URL(e.field("runtime")); runtime.Canonical() != c.runtime {
		return nil, refuse(message.CodeForbidden, "Domain Registry: runtime is %.200q, but %s registers", string(runtime), c.runtime)
	}
	if e.Status = strings.ToLower(e.field("status")); e.Status != live && e.Status != disconnected {
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
func (n *Node) changeRegistration(c *conn, key string, f func(*registration) (*registration, error)) *refusal {
	if r := n.writable(c, c.runtime, 1); r != nil {
		return r
	}
	ctx, cancel := context.WithTimeout(c.ctx, n.opts.Times.State)
	defer cancel()
	err := n.registrations.Change(ctx, key, f)
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

// Varies is how long the entry's status and times are.
func (r *registration) Varies() int {
	size := len(r.Status) + len(strconv.Itoa(r.Expires)) + len(r.Started.Format(time.RFC3339Nano)) + len(r.Modified.Format(time.RFC3339Nano))
	if !r.Since.IsZero() {
		size += len(`,"since":""`) + len(r.Since.Format(time.RFC3339Nano))
	}
	return size
}
