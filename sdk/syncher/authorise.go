package syncher

import (
	"context"

	"github.com/protofly/protofly/sdk/message"
)

// authorise answers the sync manager's question whether an observer may subscribe to an object, or read it
// (specification, "Subscribe": forward).
func (s *Syncher) authorise(ctx context.Context, m message.Message) {
	var body struct {
		Type     message.Type `json:"type"`
		Observer message.URL  `json:"from"`
		Object   message.URL  `json:"to"`
		Child    *childBody   `json:"child"`
	}
	if err := m.Decode(&body); err != nil {
		s.respond(ctx, m.Refuse(message.CodeBadRequest, "%v", err))
		return
	}
	if body.Type == message.Unsubscribe {
		return // a notice, which nobody waits for
	}
	s.mu.Lock()
	r := s.reporters[body.Object.Canonical()]
	s.mu.Unlock()
	switch {
	case r == nil:
		s.respond(ctx, m.Refuse(message.CodeNotFound, "%s reports no %s", s.owner, body.Object))
	case body.Child != nil:
		s.observersChild(m, r, body.Type, body.Observer, *body.Child)
	case !r.allows(body.Observer):
		s.respond(ctx, m.Refuse(message.CodeForbidden, "%s is not for %s", body.Object, body.Observer))
	default:
		s.respond(ctx, m.Respond(message.CodeOK, nil))
	}
}

func (r *Reporter) allows(observer message.URL) bool {
	r.mu.Lock()
	allow := r.allow
	_, invited := r.invited[observer.Canonical()]
	r.mu.Unlock()
	if allow != nil {
		return allow(observer)
	}
	return invited || !r.private
}
