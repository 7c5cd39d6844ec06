package registry

import (
	"cmp"
	"strings"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/refjson"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/shelves"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/sdk/message"
)

// criteria is what entries must have besides the resource that was asked for.
type criteria struct {
	Resources   refjson.Names `json:"resources"`
	DataSchemes refjson.Names `json:"dataSchemes"`
	Scheme      string        `json:"scheme"`
}

// look answers read: by URL, by user, GUID or identity provider's identifier, by a data object's name, or by scheme.
func (d *Registry) look(c *routing.Client, m message.Message) (message.Message, *refusal.Refusal) {
	var body struct {
		Resource string   `json:"resource"`
		Criteria criteria `json:"criteria"`
		part
	}
	if err := m.Decode(&body); err != nil {
		return message.Message{}, refusal.New(message.CodeBadRequest, "Domain Registry: %v", err)
	}
	now := time.Now()
	if u, ok := resourceURL(body.Resource); ok {
		r := d.state.Registrations.Get(state.RegistrationKey(u))
		if !d.state.Valid(r) || !body.Criteria.match(r) {
			return message.Message{}, refusal.New(message.CodeNotFound, "Domain Registry: %s is not registered", u)
		}
		code, entry := message.CodeOK, r.Entry(now)
		if r.StatusAt(now) == state.Disconnected {
			code = message.CodeTimeout
			if !d.state.Keeps(r) {
				entry["released"] = true
			}
		}
		return m.Respond(code, entry), nil
	}
	term := resourceTerm(body.Resource)
	if term == "" && body.Criteria.Scheme != "" {
		term = "scheme:" + body.Criteria.Scheme
	}
	if term == "" {
		return message.Message{}, refusal.New(message.CodeBadRequest, "Domain Registry: read needs a resource (an address, a user, a GUID) or criteria with a scheme")
	}
	page, limit, r := d.pageOf(body.part, body.Criteria.all(term))
	if r == nil {
		r = d.afford(c, term, body.Criteria.all(term), limit, page)
	}
	if r != nil {
		return message.Message{}, r
	}
	found, more := d.entries(term, &body.Criteria, page, limit)
	if len(found) == 0 && more {
		return message.Message{}, tooMany()
	}
	if len(found) == 0 {
		return message.Message{}, refusal.New(message.CodeNotFound, "Domain Registry: nothing is registered for %.200q", body.Resource+body.Criteria.Scheme)
	}
	return found.answer(m, now, more, page)
}

// entries are entries of the Domain Registry.
type entries []*state.Registration

// answer makes the answer to a read that found these entries; more says that there may be others. It names the page where one was asked for.
func (found entries) answer(m message.Message, now time.Time, more bool, page part) (message.Message, *refusal.Refusal) {
	value, code := make(map[message.URL]any, len(found)), message.CodeTimeout
	for _, r := range found {
		value[r.URL] = r.Entry(now)
		if r.StatusAt(now) != state.Disconnected {
			code = message.CodeOK
		}
	}
	body := map[string]any{"code": code, "value": value}
	if more {
		body["more"] = true
	}
	if page.asked {
		body["page"] = page.Page
	}
	answer := m.RespondBody(message.Encode(body))
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
	// resources and data schemes it reads. Entries beyond that are not found.
	maxLooked   = 20
	maxCompared = 2 << 20
	// maxAnswer is how many bytes the entries of an answer may have. An entry of more than ordinary bytes is put behind those
	// of others, so that large ones keep nobody out.
	maxAnswer = message.MaxBody - 256
	ordinary  = 4 << 10
)

func tooMany() *refusal.Refusal {
	return refusal.New(message.CodeTooLarge, "Domain Registry: too many entries for one answer; ask with narrower criteria")
}

// part is which part of the result of a read is wanted.
type part struct {
	Page  int  `json:"page"` // from 1; 0: the first
	Size  int  `json:"size"` // entries of a page; 0, and at most: the limit of an answer
	asked bool // Page was given
}

// pageOf is the part of a result that is wanted, and how many entries are looked at for it. all: every entry is wanted.
func (d *Registry) pageOf(p part, all bool) (page part, limit int, r *refusal.Refusal) {
	if p.Page < 0 || p.Size < 0 {
		return p, 0, refusal.New(message.CodeBadRequest, "Domain Registry: page %d, size %d: want numbers from 1", p.Page, p.Size)
	}
	most := d.limits.Results
	page = part{Page: max(p.Page, 1), Size: min(cmp.Or(p.Size, most), most), asked: p.Page > 0}
	if page.Page > maxLooked*most/page.Size {
		return p, 0, tooMany()
	}
	if all {
		return page, min((page.Page+1)*page.Size, maxLooked*most), nil
	}
	return page, maxLooked * most, nil
}

// entries returns the entries of a page with a term that match. If they are too many for one answer, or too large, they are chosen
// in the order of [shelves.Shelves.Pick], in each round the large ones last; more says that others have been left out. limit is how many
// are looked at.
func (d *Registry) entries(term string, wanted *criteria, page part, limit int) (found entries, more bool) {
	skip := (page.Page - 1) * page.Size
	list := d.state.Registrations.Pick(term, limit+1)
	if len(list) > limit {
		list, more = list[:limit], true
	}
	compared, size := 0, 0
	for _, c := range largeLast(list) {
		e := c.Value
		if wanted.Scheme != "" && e.URL.Scheme() != wanted.Scheme || !d.state.Valid(e) {
			continue
		}
		if len(wanted.Resources)+len(wanted.DataSchemes) > 0 {
			if compared += len(e.Fields["resources"]) + len(e.Fields["dataSchemes"]); compared > maxCompared {
				return found, true
			}
			if !wanted.match(e) {
				continue
			}
		}
		if skip > 0 {
			skip--
			continue
		}
		if len(found) == page.Size {
			return found, true
		}
		if size+c.Size <= maxAnswer {
			found, size = append(found, e), size+c.Size
		} else {
			more = true
		}
	}
	return found, more
}

// largeLast puts the large entries of each round behind the others of the same round.
func largeLast(list []shelves.Candidate[state.Registration]) []shelves.Candidate[state.Registration] {
	out := make([]shelves.Candidate[state.Registration], 0, len(list))
	var large []shelves.Candidate[state.Registration]
	for i, e := range list {
		if e.Size > ordinary {
			large = append(large, e)
		} else {
			out = append(out, e)
		}
		if i+1 == len(list) || list[i+1].Round != e.Round {
			out, large = append(out, large...), large[:0]
		}
	}
	return out
}

// match tells whether r has all that is asked for.
func (c *criteria) match(r *state.Registration) bool {
	if c.Scheme != "" && r.URL.Scheme() != c.Scheme {
		return false
	}
	return has(r, "resources", c.Resources) && has(r, "dataSchemes", c.DataSchemes)
}

// has tells whether the list in a field of r has all of want. It reads the list only if want is not empty.
func has(r *state.Registration, field string, want refjson.Names) bool {
	if len(want) == 0 {
		return true
	}
	have := r.List(field)
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

// afford is called before a read looks through the entries with a term: it refuses a read that costs more than the connection
// may spend now. all says that every entry matches, limit how many are looked at. However many there are, a read looks at a bounded number.
func (d *Registry) afford(c *routing.Client, term string, all bool, limit int, page part) *refusal.Refusal {
	count, bytes := d.state.Registrations.Count(term), int(d.state.Registrations.Weighs(term))
	if all && page.asked && count > page.Size {
		bytes = bytes / count * page.Size
	}
	if all {
		return c.Charge(min(count, limit)/16 + min(bytes, message.MaxBody)/1024) // all of it is encoded
	}
	return c.Charge(min(count, limit)/16 + min(bytes, 2*maxCompared)/4096) // lists in it are looked at
}
