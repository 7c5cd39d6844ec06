package stubhost

import (
	"context"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// statuses is what a stub has last said of itself and of its peers (specification, "Status"), so that the host can
// say what it no longer can. It belongs to the instance's goroutine.
type statuses struct {
	in   Instance
	last map[message.URL]message.Status // by resource; "": the stub itself. Only what is not over.
}

// maxResources bounds how many peers of one stub are remembered.
const maxResources = 1 << 16

func newStatuses(in Instance) *statuses {
	s := &statuses{in: in, last: map[message.URL]message.Status{}}
	if in.Role == sdk.RoleRequester && in.Remote != "" {
		s.last[in.Remote] = message.Created // it sets up at once, whether it has said so or not
	}
	return s
}

type statusBody struct {
	Value    message.Status `json:"value"`
	Resource message.URL    `json:"resource,omitempty"`
	Desc     string         `json:"desc,omitempty"`
}

// see notes m if it is a status event.
func (s *statuses) see(m message.Message) {
	if m.To.Canonical() != s.in.URL.Canonical().Join("status") {
		return
	}
	var b statusBody
	if m.Decode(&b) != nil || len(b.Resource) > message.MaxURL {
		return
	}
	switch b.Value {
	case message.Created, message.InProgress, message.Live:
		if len(s.last) < maxResources {
			s.last[b.Resource] = b.Value
		}
	default:
		delete(s.last, b.Resource)
	}
}

// standIn posts in the stub's name that everything which was not over is.
func (s *statuses) standIn(ctx context.Context, post func(context.Context, message.URL, message.Message), cause error) {
	for resource, last := range s.last {
		b := statusBody{Value: message.Disconnected, Resource: resource, Desc: cause.Error()}
		if resource != "" && last != message.Live {
			b.Value = message.Failed
		}
		post(ctx, s.in.URL, message.Message{Type: message.Update, From: s.in.URL, To: s.in.URL.Join("status"), Body: message.Encode(b)})
	}
	clear(s.last)
}
