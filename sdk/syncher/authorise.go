package syncher

import (
	"context"

	"github.com/protofly/protofly/sdk/message"
)

// forwarded takes what the sync manager forwards to a reporter, or tells an observer of the reporter.
func (s *Syncher) forwarded(ctx context.Context, m message.Message) {
	var body struct {
		Resource message.URL `json:"resource"`
		Status   string      `json:"status"`
		Away     string      `json:"away"`
	}
	if m.Decode(&body) != nil || body.Status == "" {
		s.authorise(ctx, m)
		return
	}
	if o := s.observer(body.Resource); o != nil {
		l := o.lock()
		defer l.unlock()
		if !o.joining && !o.ended { // else the value that is being fetched says it
			l.setAway(body.Away)
		}
	}
}

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
	s.mu.Lock()
	r := s.reporters[body.Object.Canonical()]
	s.mu.Unlock()
	if body.Type == message.Unsubscribe { // a notice, which nobody waits for
		if r != nil {
			r.left(body.Observer)
		}
		return
	}
	switch {
	case r == nil:
		s.respond(ctx, m.Refuse(message.CodeNotFound, "%s reports no %s", s.owner, body.Object))
	case body.Child != nil:
		s.observersChild(m, r, body.Type, body.Observer, *body.Child)
	case !r.allows(body.Observer):
		s.respond(ctx, m.Refuse(message.CodeForbidden, "%s is not for %s", body.Object, body.Observer))
	default:
		if body.Type == message.Subscribe {
			r.joined(body.Observer)
		}
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
