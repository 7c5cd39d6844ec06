package syncmanager

import (
	"context"
	"regexp"

	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

var schemeForm = regexp.MustCompile(`^[a-z][a-z-]{0,31}$`)

// create serves a create: of an object, or an invitation to one.
func (m *Manager) create(msg message.Message) error {
	var body request
	if err := msg.Decode(&body); err != nil {
		return err
	}
	if len(body.Authorise) > 0 {
		return m.invite(msg, body)
	}
	doc, err := object.Parse(body.Value.Data)
	if err != nil {
		return err
	}
	if err := body.Value.Check(); err != nil {
		return err
	}
	if err := object.CheckNames(body.Value.Childrens); err != nil {
		return err
	}
	if body.Schema == "" {
		body.Schema = body.Value.Schema
	}
	if body.Scheme == "" {
		if body.Scheme = "resource"; body.Resource != "" {
			body.Scheme = body.Resource.Scheme()
		}
	}
	if !schemeForm.MatchString(body.Scheme) || !isObject(message.URL(body.Scheme+"://d/o")) {
		return refuse(message.CodeBadRequest, "a data object's address cannot have the scheme "+body.Scheme)
	}
	if body.Resource != "" && (!isObject(body.Resource) || body.Resource.Scheme() != body.Scheme) {
		return refuse(message.CodeBadRequest, "a data object's address is <scheme>://<domain>/<id>")
	}
	if done, err := m.resume(msg, body, doc); done || err != nil {
		return err
	}
	started := m.task(msg.From, func(ctx context.Context) {
		r, err := m.register(ctx, msg, body, doc)
		m.release(body.Resource) // before the answer: who has that may go on at once
		if err != nil {
			m.post(ctx, refusal(msg, err))
			return
		}
		m.post(ctx, r.created(msg))
	})
	if !started {
		m.release(body.Resource)
	}
	return nil
}

// resume looks whether the wished object is there already. If its reporter resumes it, done says that the answer is
// given. Otherwise the address is reserved until release is called.
func (m *Manager) resume(msg message.Message, body request, doc object.Document) (done bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.reported)+len(m.observed) >= m.o.Limits.Objects || m.owned[msg.From.Canonical()] >= m.o.Limits.PerComponent {
		return false, refuse(message.CodeTooMany, "too many data objects")
	}
	if body.Resource == "" {
		return false, nil
	}
	key := body.Resource.Canonical()
	r := m.reported[key]
	_, busy := m.creating[key]
	switch {
	case r == nil && !busy:
		m.creating[key] = struct{}{}
		return false, nil
	case busy || r.reporter != msg.From.Canonical() || !body.Resume:
		return false, refuse(message.CodeConflict, string(body.Resource)+" is reported already")
	}
	if body.Value.Version > r.meta.Version {
		meta := r.describe(body.Value)
		if err := m.become(&r.replica, meta, doc); err != nil {
			return false, err
		}
		r.publishAll()
	}
	m.reply(r.created(msg))
	return true, nil
}

// release gives up the reservation of a wished address.
func (m *Manager) release(wished message.URL) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.creating, wished.Canonical())
}

// register has the object registered, enters it, and has the node told.
func (m *Manager) register(ctx context.Context, msg message.Message, body request, doc object.Document) (*reported, error) {
	m.mu.Lock()
	left := m.leaving[body.Resource.Canonical()]
	m.mu.Unlock()
	if left != nil { // an application that is back at once
		<-left // ends with the sync manager, too
	}
	url, err := m.o.Objects.RegisterObject(ctx, registry.Object{
		URL: body.Resource, Scheme: body.Scheme, Name: body.Value.Name, Schema: body.Schema, Reporter: msg.From,
		Resources: body.Value.Resources, Private: body.Private,
	})
	if err != nil {
		return nil, err
	}
	r := &reported{reporter: msg.From.Canonical(), private: body.Private, children: names(body.Value.Childrens), remotes: make(map[message.URL]*remote)}
	r.replica = replica{url: url, followers: make(map[message.URL]*feed)}
	r.changes = &feed{m: m, of: &r.replica, from: url, to: object.Changes(url), reporter: msg.From}
	meta := body.Value
	meta.URL, meta.Reporter, meta.Runtime, meta.Schema = url, msg.From, m.o.Runtime, body.Schema
	meta.Status, meta.Childrens = "live", r.children
	if err := m.enter(r, meta, doc); err != nil {
		m.mu.Lock()
		twice := m.reported[url.Canonical()] != nil
		m.mu.Unlock()
		if !twice { // else it stays registered for the one who has it
			_ = m.o.Objects.UnregisterObject(ctx, url)
		}
		return nil, err
	}
	m.announce(message.Subscribe, m.o.Domain, msg.From, url, object.Subscription(url))
	return r, nil
}

// enter makes r known and listens at its addresses.
func (m *Manager) enter(r *reported, meta object.Metadata, doc object.Document) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := r.url.Canonical()
	switch {
	case m.closed:
		return refuse(message.CodeUnavailable, "the runtime ends")
	case m.reported[key] != nil || m.observed[key] != nil:
		return refuse(message.CodeConflict, string(r.url)+" is known already")
	}
	if err := m.become(&r.replica, meta, doc); err != nil {
		return err
	}
	m.reported[key] = r
	m.owned[r.reporter]++
	r.stops = []func(){
		m.bus.Listen(object.Subscription(r.url), func(_ context.Context, msg message.Message) { m.remoteRequest(r, msg) }),
		m.bus.Listen(r.url, func(_ context.Context, msg message.Message) { m.remoteRequest(r, msg) }),
	}
	r.stops = append(r.stops, m.listenForChildren(r)...)
	return nil
}

// invite serves an invitation: each observer is asked from U/subscription, and the inviter gets its answer
// (specification, "Invite").
func (m *Manager) invite(msg message.Message, body request) error {
	m.mu.Lock()
	r := m.reported[body.Resource.Canonical()]
	if r == nil || r.reporter != msg.From.Canonical() {
		m.mu.Unlock()
		return notYours(body.Resource, r != nil)
	}
	meta := r.meta
	m.mu.Unlock()
	if len(body.Authorise) != 1 {
		return refuse(message.CodeBadRequest, "an invitation is for one observer")
	}
	invitation := message.Message{
		Type: message.Create, From: object.Subscription(meta.URL), To: body.Authorise[0], Source: meta.Reporter, P2P: msg.P2P,
	}
	if meta.URL.Scheme() == message.SchemeConnection {
		invitation.P2P = message.No // what sets a direct path up does not ask for one
	}
	invitation.Body = message.Encode(struct {
		Schema message.URL     `json:"schema,omitempty"`
		Value  object.Metadata `json:"value"`
		Mutual bool            `json:"mutual"`
	}{meta.Schema, meta, false})
	m.task(msg.From, func(ctx context.Context) {
		if _, err := m.ask(ctx, invitation); err != nil {
			m.post(ctx, refusal(msg, err))
			return
		}
		m.post(ctx, msg.Respond(message.CodeOK, nil))
	})
	return nil
}
