// Package status keeps the last status that a stub has reported of itself and of each of its peers (specification, "Status"),
// so that the host can report their end when the stub cannot.
package status

import (
	"encoding/json"
	"sync"

	"github.com/protofly/protofly/core/stubhost/failure"
	"github.com/protofly/protofly/sdk/message"
)

// Table has the last statuses that one run of a stub has reported, of itself and of its peers. It is made by [New].
type Table struct {
	own message.URL // the canonical URL that status events are posted to

	mu   sync.Mutex
	last map[message.URL]message.Status // by resource, which is "" for the stub itself; without those that have ended
	asks map[message.ID]message.URL     // by ID, the resource of each status that is a request, such as a Handler's "created"
}

// maxResources bounds how many peers of one stub are remembered.
const maxResources = 1 << 16

// maxAsked bounds how many requests of one stub are remembered.
const maxAsked = 1 << 12

// New makes the table of a run of the stub. settingUp is a peer whose set-up begins with the run, even if the stub does not
// report it; "": there is none.
func New(stub, settingUp message.URL) *Table {
	t := &Table{own: stub.Canonical().Join("status"), last: map[message.URL]message.Status{}, asks: map[message.ID]message.URL{}}
	if settingUp != "" {
		t.last[settingUp] = message.Created
	}
	return t
}

// Body is the body of a status event.
type Body struct {
	Value    message.Status `json:"value"`
	Resource message.URL    `json:"resource,omitempty"`
	Desc     string         `json:"desc,omitempty"`
}

// Shorten cuts the description in a status event to its longest length. It tells whether it has.
func Shorten(m *message.Message) bool {
	var members map[string]json.RawMessage
	var desc string
	if len(m.Body) <= failure.MaxText || m.Decode(&members) != nil || len(members["desc"]) <= failure.MaxText || json.Unmarshal(members["desc"], &desc) != nil {
		return false
	}
	members["desc"] = message.Encode(failure.Text(desc, failure.MaxText))
	m.Body = message.Encode(members)
	return true
}

// See notes m if it is a status event, and returns its body. is tells whether it is one.
func (t *Table) See(m *message.Message) (b Body, is bool) {
	if m.To.Canonical() != t.own {
		return Body{}, false
	}
	if m.Decode(&b) != nil || len(b.Resource) > message.MaxURL {
		return Body{}, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch b.Value {
	case message.Created, message.InProgress, message.Live:
		if len(t.last) < maxResources {
			t.last[b.Resource] = b.Value
			if b.Value == message.Created && b.Resource != "" && len(t.asks) < maxAsked {
				t.asks[m.ID.Key()] = b.Resource
			}
		}
	default:
		delete(t.last, b.Resource)
	}
	return b, true
}

// Answer notes a response to the stub. Where it refuses a set-up, that has ended, and no further status follows.
func (t *Table) Answer(m *message.Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	resource, asked := t.asks[m.ID.Key()]
	if !asked || m.Provisional() {
		return
	}
	delete(t.asks, m.ID.Key())
	if _, err := m.OK(); err != nil && t.last[resource] == message.Created {
		delete(t.last, resource)
	}
}

// Of returns the last status of a resource; 0: there is none, or the resource has ended.
func (t *Table) Of(resource message.URL) message.Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last[resource]
}

// Peers returns how many peers have not ended, and how many of them are being set up.
func (t *Table) Peers() (all, pending int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for resource, last := range t.last {
		if resource == "" {
			continue
		}
		all++
		if last != message.Live {
			pending++
		}
	}
	return all, pending
}

// Take empties the table and returns its statuses by resource.
func (t *Table) Take() map[message.URL]message.Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.last
	t.last = map[message.URL]message.Status{}
	return all
}
