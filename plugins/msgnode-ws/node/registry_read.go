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
		if r == nil || !body.Criteria.match(r) {
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
	entries, code := map[message.URL]any{}, message.CodeTimeout
	for _, r := range n.registrations.find(term) {
		if !body.Criteria.match(r) {
			continue
		}
		if len(entries) >= n.opts.Limits.Results {
			return message.Message{}, refuse(message.CodeTooLarge, "Domain Registry: more than %d entries; ask with narrower criteria", n.opts.Limits.Results)
		}
		entries[r.URL] = r.entry(now)
		if r.status(now) != disconnected {
			code = message.CodeOK
		}
	}
	if len(entries) == 0 {
		return message.Message{}, refuse(message.CodeNotFound, "Domain Registry: nothing is registered for %.200q", body.Resource+body.Criteria.Scheme)
	}
	answer := m.Respond(code, entries)
	if err := answer.Check(); err != nil {
		return message.Message{}, refuse(message.CodeTooLarge, "Domain Registry: the answer is too large; ask with narrower criteria")
	}
	return answer, nil
}

// all tells whether every entry with the term has what is asked for.
func (c *criteria) all(term string) bool {
	return len(c.Resources) == 0 && len(c.DataSchemes) == 0 && (c.Scheme == "" || term == "scheme:"+c.Scheme)
}

// match tells whether r has all that is asked for.
func (c *criteria) match(r *registration) bool {
	if c.Scheme != "" && r.URL.Scheme() != c.Scheme {
		return false
	}
	return (len(c.Resources) == 0 || has(r.list("resources"), c.Resources)) &&
		(len(c.DataSchemes) == 0 || has(r.list("dataSchemes"), c.DataSchemes))
}

func has(have, want names) bool {
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
