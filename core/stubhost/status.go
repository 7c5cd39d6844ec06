package stubhost

import (
	"encoding/json"
	"sync"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// statuses is what one run of a stub has last said of itself and of its peers (specification, "Status"), so that the
// host can say what it no longer can.
type statuses struct {
	own message.URL // canonical: where they are posted

	mu   sync.Mutex
	last map[message.URL]message.Status // by resource; "": the stub itself. Only what is not over.
	asks map[message.ID]message.URL     // the resource of a status that was a request, as a Handler's created is
}

// maxResources bounds how many peers of one stub are remembered.
const maxResources = 1 << 16

func newStatuses(in Instance, restarted bool) *statuses {
	s := &statuses{own: in.URL.Canonical().Join("status"), last: map[message.URL]message.Status{}, asks: map[message.ID]message.URL{}}
	if in.Role == sdk.RoleRequester && in.Remote != "" && !restarted {
		s.last[in.Remote] = message.Created // it sets up at once, whether it has said so or not
	}
	return s
}

type statusBody struct {
	Value    message.Status `json:"value"`
	Resource message.URL    `json:"resource,omitempty"`
	Desc     string         `json:"desc,omitempty"`
}

// shorten cuts what a status says for people, and tells whether it had to.
func shorten(m *message.Message) bool {
	var members map[string]json.RawMessage
	var desc string
	if len(m.Body) <= maxText || m.Decode(&members) != nil || len(members["desc"]) <= maxText || json.Unmarshal(members["desc"], &desc) != nil {
		return false
	}
	members["desc"] = message.Encode(bounded(desc, maxText))
	m.Body = message.Encode(members)
	return true
}

// see notes m and says what is in it, if it is a status event.
func (s *statuses) see(m *message.Message) (b statusBody, is bool) {
	if m.To.Canonical() != s.own {
		return statusBody{}, false
	}
	if m.Decode(&b) != nil || len(b.Resource) > message.MaxURL {
		return statusBody{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch b.Value {
	case message.Created, message.InProgress, message.Live:
		if len(s.last) < maxResources {
			s.last[b.Resource] = b.Value
			if b.Value == message.Created && b.Resource != "" && len(s.asks) < maxAsked {
				s.asks[m.ID.Key()] = b.Resource
			}
		}
	default:
		delete(s.last, b.Resource)
	}
	return b, true
}

// answer notes a response to the stub: a set-up that is refused is over without a further status.
func (s *statuses) answer(m *message.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	resource, asked := s.asks[m.ID.Key()]
	if !asked || m.Provisional() {
		return
	}
	delete(s.asks, m.ID.Key())
	if _, err := m.OK(); err != nil && s.last[resource] == message.Created {
		delete(s.last, resource)
	}
}

// of is what was last said of a resource; 0: nothing, or that it is over.
func (s *statuses) of(resource message.URL) message.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last[resource]
}

// peers is how many resources are not over, and how many of them are being set up.
func (s *statuses) peers() (all, pending int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for resource, last := range s.last {
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

// take empties the table and returns what was in it.
func (s *statuses) take() map[message.URL]message.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.last
	s.last = map[message.URL]message.Status{}
	return all
}

// standIn posts in the stub's name that everything which was not over in a run is.
func (i *instance) standIn(r *incarnation, cause error) {
	for resource, last := range r.status.take() {
		b := statusBody{Value: message.Disconnected, Resource: resource, Desc: cause.Error()}
		if resource != "" && last != message.Live {
			b.Value = message.Failed
		}
		i.say(r, b)
	}
}

// say posts a status event in the name of a run.
func (i *instance) say(r *incarnation, b statusBody) {
	_ = i.tell(i.ctx, r, message.Message{Type: message.Update, From: i.URL, To: i.URL.Join("status"), Body: message.Encode(b)})
}
