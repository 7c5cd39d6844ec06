package syncher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// Invite invites observers to the object (specification, "Invite") and waits for their answers: "received", not yet
// "will observe". The error is a *message.ResponseError where one refuses or does not answer; the others are invited
// all the same. At most 4,096 are invited to one object: if the list is longer, none of it is invited.
func (r *Reporter) Invite(ctx context.Context, observers ...message.URL) error {
	r.mu.Lock()
	meta := r.meta
	err := r.enter(observers)
	r.mu.Unlock()
	if err != nil {
		return err
	}
	const atOnce = 16
	failed := make([]error, len(observers))
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, observer := range observers {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			_, err := r.s.ask(ctx, message.Create, createBody{
				Resource: r.url, Schema: meta.Schema, Value: meta, Authorise: []message.URL{observer},
			})
			if err != nil {
				failed[i] = fmt.Errorf("invite %s to %s: %w", observer, r.url, err)
			}
		})
	}
	all.Wait()
	return errors.Join(failed...)
}

// enter notes the invited observers: all of the list, or none. r.mu is held.
func (r *Reporter) enter(observers []message.URL) error {
	var fresh []message.URL
	for _, o := range observers {
		o = o.Canonical()
		if _, known := r.invited[o]; known {
			continue
		}
		if len(r.invited) >= maxInvited {
			for _, o := range fresh {
				delete(r.invited, o)
			}
			return fmt.Errorf("invite to %s: more than %d observers would be invited in all, no more are allowed", r.url, maxInvited)
		}
		r.invited[o] = struct{}{}
		fresh = append(fresh, o)
	}
	return nil
}

// OnInvite makes the syncher call f for every invitation, each in a goroutine of its own; ctx ends with the syncher. An
// invitation that f leaves unanswered is accepted when f returns. Without an f invitations are refused.
func (s *Syncher) OnInvite(f func(ctx context.Context, inv Invitation)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onInvite = f
}

// Accept answers that the invitation is received. Only the first answer counts.
func (i Invitation) Accept(ctx context.Context) error {
	return i.reply.post(ctx, i.reply.m.Respond(message.CodeOK, nil))
}

// Refuse answers that the invitation is not taken, with a code of 300 or above.
func (i Invitation) Refuse(ctx context.Context, code int, reason string) error {
	if code < 300 || code > 999 {
		code = message.CodeForbidden
	}
	return i.reply.post(ctx, i.reply.m.Refuse(code, "%s", reason))
}

func (r *reply) post(ctx context.Context, m message.Message) error {
	if r.done.Swap(true) {
		return nil
	}
	if err := r.s.bus.Post(ctx, m); err != nil {
		return fmt.Errorf("answer the invitation from %s: %w", m.To, err)
	}
	return nil
}

func isSubscription(u message.URL) bool {
	return strings.HasSuffix(string(u), "/subscription")
}

// invited takes an invitation.
func (s *Syncher) invited(m message.Message) {
	inv, err := s.invitation(m)
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.onInvite
	if s.closed {
		return
	}
	if s.invitations >= maxInvitations {
		s.log.Warn("too many invitations at once: one is dropped", "from", m.From)
		return
	}
	s.invitations++
	s.tasks.Go(func() {
		defer func() {
			s.mu.Lock()
			s.invitations--
			s.mu.Unlock()
		}()
		switch {
		case err != nil:
			s.respond(s.ctx, m.Refuse(message.CodeBadRequest, "invitation: %v", err))
		case f == nil:
			s.respond(s.ctx, m.Refuse(message.CodeNotFound, "%s takes no invitations", s.owner))
		default:
			f(s.ctx, inv)
			if err := inv.Accept(s.ctx); err != nil {
				s.log.Debug("cannot answer", "to", m.From, "error", err)
			}
		}
	})
}

func (s *Syncher) invitation(m message.Message) (Invitation, error) {
	var body struct {
		Schema message.URL     `json:"schema"`
		Value  json.RawMessage `json:"value"`
	}
	var meta object.Metadata
	if err := m.Decode(&body); err != nil {
		return Invitation{}, err
	}
	if err := json.Unmarshal(body.Value, &meta); err != nil {
		return Invitation{}, fmt.Errorf("value: %w", err)
	}
	if meta.Schema == "" {
		meta.Schema = body.Schema
	}
	if meta.Reporter == "" {
		meta.Reporter = m.Source
	}
	if err := meta.Check(); err != nil {
		return Invitation{}, err
	}
	if meta.URL == "" || object.Subscription(meta.URL).Canonical() != m.From.Canonical() {
		return Invitation{}, fmt.Errorf("it is from %s, which is not where %q takes subscriptions", m.From, meta.URL)
	}
	return Invitation{
		URL: meta.URL, Reporter: meta.Reporter, Runtime: meta.Runtime, Schema: meta.Schema, Name: meta.Name,
		Metadata: body.Value, reply: &reply{s: s, m: m},
	}, nil
}
