// Package status remembers what a stub has said of itself and of its peers by status events (specification, "Status"), so
// that the host can say in its place what it no longer can.
package status

import (
	"encoding/json"
	"sync"

	"github.com/protofly/protofly/core/stubhost/failure"
	"github.com/protofly/protofly/sdk/message"
)

// Table is what one run of a stub has last said of itself and of its peers. It is made by [New].
type Table struct {
	own message.URL // canonical: where they are posted

	mu   sync.Mutex
	last map[message.URL]message.Status // by resource; "": the stub itself. Only what is not over.
	asks map[message.ID]message.URL     // the resource of a status that was a request, as a Handler's created is
}

// maxResources bounds how many peers of one stub are remembered.
const maxResources = 1 << 16

// maxAsked bounds how many requests of one stub are remembered.
const maxAsked = 1 << 12

// New is the table of a run of the stub. settingUp is the peer whose set-up begins with the run, whether the stub says so
// or not; "": none does.
func New(stub, settingUp message.URL) *Table {
	t := &Table{own: stub.Canonical().Join("status"), last: map[message.URL]message.Status{}, asks: map[message.ID]message.URL{}}
	if settingUp != "" {
		t.last[settingUp] = message.Created
	}
	return t
}

// Body is a status event's body.
type Body struct {
	Value    message.Status `json:"value"`
	Resource message.URL    `json:"resource,omitempty"`
	Desc     string         `json:"desc,omitempty"`
}

// Shorten cuts what a status says for people, and tells whether it had to.
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

// See notes m and says what is in it, if it is a status event.
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

// Answer notes a response to the stub: a set-up that is refused is over without a further status.
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

// Of is what was last said of a resource; 0: nothing, or that it is over.
func (t *Table) Of(resource message.URL) message.Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last[resource]
}

// Peers is how many resources are not over, and how many of them are being set up.
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

// Take empties the table and returns what was in it.
func (t *Table) Take() map[message.URL]message.Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.last
	t.last = map[message.URL]message.Status{}
	return all
}
