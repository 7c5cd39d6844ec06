package node

import (
	"strings"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// criteria is what entries must have besides the resource that was asked for.
type criteria struct {
	Resources   names  `json:"resources"`
	DataSchemes names  `json:"dataSchemes"`
	Scheme      string `json:"scheme"`
}

// look is read: by URL, by user, GUID or identity provider's identifier, by a data object's name, or by scheme.
func (n *Node) look(c *conn, m message.Message) (message.Message, *refusal) {
	var body struct {
		Resource string   `json:"resource"`
		Criteria criteria `json:"criteria"`
	}
	if err := m.Decode(&body); err != nil {
		return message.Message{}, refuse(message.CodeBadRequest, "Domain Registry: %v", err)
	}
	now := time.Now()
	if u, ok := resourceURL(body.Resource); ok {
		r := n.registrations.get(registrationKey(u))
		if !n.valid(r) || !body.Criteria.match(r) {
			return message.Message{}, refuse(message.CodeNotFound, "Domain Registry: %s is not registered", u)
		}
		code := message.CodeOK
		if r.status(now) == disconnected {
			code = message.CodeTimeout
		}
		return m.Respond(code, r.entry(now)), nil
	}
	term := resourceTerm(body.Resource)
	if term == "" && body.Criteria.Scheme != "" {
		term = "scheme:" + body.Criteria.Scheme
	}
	if term == "" {
		return message.Message{}, refuse(message.CodeBadRequest, "Domain Registry: read needs a resource (an address, a user, a GUID) or criteria with a scheme")
	}
	if r := n.afford(c, term, body.Criteria.all(term)); r != nil {
		return message.Message{}, r
	}
	found, r := n.entries(term, &body.Criteria)
	if r != nil {
		return message.Message{}, r
	}
	if len(found) == 0 {
		return message.Message{}, refuse(message.CodeNotFound, "Domain Registry: nothing is registered for %.200q", body.Resource+body.Criteria.Scheme)
	}
	entries, code := make(map[message.URL]any, len(found)), message.CodeTimeout
	for _, r := range found {
		entries[r.URL] = r.entry(now)
		if r.status(now) != disconnected {
			code = message.CodeOK
		}
	}
	answer := m.Respond(code, entries)
	if err := answer.Check(); err != nil {
		return message.Message{}, tooMany()
	}
	return answer, nil
}

// all tells whether every entry with the term has what is asked for.
func (c *criteria) all(term string) bool {
	return len(c.Resources) == 0 && len(c.DataSchemes) == 0 && (c.Scheme == "" || term == "scheme:"+c.Scheme)
}

const (
	// maxLooked is how many entries one read looks at for each that it may return, and maxCompared how many bytes of
	// resources and data schemes it reads: what asks for more is refused and not computed.
	maxLooked   = 20
	maxCompared = 2 << 20
)

func tooMany() *refusal {
	return refuse(message.CodeTooLarge, "Domain Registry: too many entries for one answer; ask with narrower criteria")
}

// entries are the entries with a term that match. It stops as soon as they are too many, or their answer too large.
func (n *Node) entries(term string, wanted *criteria) ([]*registration, *refusal) {
	limit := maxLooked * n.opts.Limits.Results
	all := n.registrations.some(term, limit+1)
	if len(all) > limit {
		return nil, tooMany()
	}
	var found []*registration
	compared, size := 0, 0
	for _, e := range all {
		if wanted.Scheme != "" && e.URL.Scheme() != wanted.Scheme || !n.valid(e) {
			continue
		}
		if len(wanted.Resources)+len(wanted.DataSchemes) > 0 {
			if compared += len(e.Fields["resources"]) + len(e.Fields["dataSchemes"]); compared > maxCompared {
				return nil, tooMany()
			}
			if !wanted.match(e) {
				continue
			}
		}
		if size += e.size(); size > message.MaxBody || len(found) >= n.opts.Limits.Results {
			return nil, tooMany()
		}
		found = append(found, e)
	}
	return found, nil
}

// match tells whether r has all that is asked for.
func (c *criteria) match(r *registration) bool {
	if c.Scheme != "" && r.URL.Scheme() != c.Scheme {
		return false
	}
	return has(r, "resources", c.Resources) && has(r, "dataSchemes", c.DataSchemes)
}

// has tells whether a list of r has all of want; it reads the list only for that.
func has(r *registration, field string, want names) bool {
	if len(want) == 0 {
		return true
	}
	have := r.list(field)
	set := make(map[string]bool, len(have))
	for _, h := range have {
		set[h] = true
	}
	for _, w := range want {
		if !set[w] {
			return false
		}
	}
	return true
}

// resourceURL reads a resource that names one entry: an address, alone or after /<type>/.
func resourceURL(resource string) (message.URL, bool) {
	if strings.HasPrefix(resource, "/hyperty/user/") {
		return "", false
	}
	if rest, ok := strings.CutPrefix(resource, "/"); ok {
		_, resource, _ = strings.Cut(rest, "/")
	}
	u, err := message.ParseURL(resource)
	if err != nil || u.Scheme() == "user" || u.Scheme() == "user-guid" {
		return "", false
	}
	return u, true
}

// resourceTerm reads a resource that may name several entries, as a term of the table.
func resourceTerm(resource string) string {
	if user, ok := strings.CutPrefix(resource, "/hyperty/user/"); ok {
		return "user:" + user
	}
	if _, id, ok := strings.Cut(resource, "/idp-identifier/"); ok && strings.HasPrefix(resource, "/") {
		return "idp:" + id
	}
	if strings.HasPrefix(resource, "user://") || strings.HasPrefix(resource, "user-guid://") {
		return "user:" + resource
	}
	if resource == "" || strings.HasPrefix(resource, "/") {
		return ""
	}
	return "name:" + resource
}
