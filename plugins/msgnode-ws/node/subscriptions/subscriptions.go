package subscriptions

import (
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/address"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/limits"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refjson"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/rights"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/writes"
	"github.com/protofly/protofly/sdk/message"
)

// Subscriptions is the function of the node that keeps which runtimes listen where.
type Subscriptions struct {
	limits limits.Limits
	state  *state.State
	writes *writes.Writes
	rights *rights.Rights
	router Router
	log    hclog.Logger
}

// Router is what leads messages to connections.
type Router interface {
	Cluster() bool // tells whether there are other nodes
	// Listen makes messages for u go to c, if c may get them; Unwant ends that.
	Listen(c *routing.Client, u message.URL) (allowed bool, err error)
	Unwant(c *routing.Client, u message.URL, why routing.Reason)
}

// New makes the function of a node.
func New(l limits.Limits, s *state.State, w *writes.Writes, whose *rights.Rights, r Router, log hclog.Logger) *Subscriptions {
	return &Subscriptions{limits: l, state: s, writes: w, rights: whose, router: r, log: log}
}

// Answer is the node's function domain://msg-node.<domain>/sm. The sender is the subscriber: body.source is not used, or one
// runtime could redirect another's messages.
func (s *Subscriptions) Answer(c *routing.Client, m message.Message) (message.Message, *refusal.Refusal) {
	if m.Type != message.Subscribe && m.Type != message.Unsubscribe {
		return message.Message{}, refusal.New(message.CodeBadRequest, "subscription manager: %s is not one of subscribe, unsubscribe", m.Type)
	}
	list, r := s.addresses(c, m)
	if r != nil {
		return message.Message{}, r
	}
	if m.Type == message.Unsubscribe {
		r = s.unsubscribe(c, list)
	} else {
		r = s.subscribe(c, list)
	}
	if r != nil {
		return message.Message{}, r
	}
	return m.Respond(message.CodeOK, nil), nil
}

// addresses reads the addresses from every field in which implementations and the specification put them: resources; subscribe
// or unsubscribe; resource with childrenResources. Several may be there together.
func (s *Subscriptions) addresses(c *routing.Client, m message.Message) ([]message.URL, *refusal.Refusal) {
	var body struct {
		Resources, Subscribe, Unsubscribe, Resource, ChildrenResources refjson.Names
	}
	if err := m.Decode(&body); err != nil {
		return nil, refusal.New(message.CodeBadRequest, "subscription manager: %v", err)
	}
	texts := slices.Concat(body.Resources, body.Subscribe, body.Unsubscribe)
	// Each resource is combined with each child, so count before making the list.
	count := len(texts) + len(body.Resource)*(objectOwn+objectChild*len(body.ChildrenResources))
	if count == 0 {
		return nil, refusal.New(message.CodeBadRequest, "subscription manager: no addresses; give them as resources, subscribe or resource")
	}
	if limit := s.limits.Subscriptions; count > limit && len(texts)+len(body.Resource) > 0 {
		return nil, refusal.New(message.CodeTooMany, "subscription manager: %d addresses at once, at most %d", count, limit)
	}
	list := make([]message.URL, 0, count)
	seen := make(map[message.URL]bool, count)
	add := func(text string) *refusal.Refusal {
		u, err := message.ParseURL(strings.Clone(text)) // a copy, since u may be kept and text is a part of a long list
		if err != nil {
			return refusal.New(message.CodeBadRequest, "subscription manager: %v", err)
		}
		if !seen[u.Canonical()] {
			seen[u.Canonical()] = true
			list = append(list, u)
		}
		return nil
	}
	for _, text := range texts {
		if r := add(text); r != nil {
			return nil, r
		}
	}
	for _, object := range body.Resource {
		if r := s.objectAddresses(c, object, body.ChildrenResources, add); r != nil {
			return nil, r
		}
	}
	return list, nil
}

// How many addresses a data object has at most: itself and its changes, and each of its children in two forms.
const objectOwn, objectChild = 2, 2

// objectAddresses is the Message Node chapter's form: a data object and the names of its children. A runtime that does not own
// the object gets its publications only.
func (s *Subscriptions) objectAddresses(c *routing.Client, text string, children refjson.Names, add func(string) *refusal.Refusal) *refusal.Refusal {
	object, err := message.ParseURL(text)
	if err != nil {
		return refusal.New(message.CodeBadRequest, "subscription manager: resource: %v", err)
	}
	u := strings.TrimSuffix(string(object), "/")
	if s.rights.MayListen(c, object) {
		if r := add(u); r != nil {
			return r
		}
	}
	if _, tail, _ := strings.Cut(strings.TrimPrefix(object.Path(), "/"), "/"); tail == "" && !object.IsRuntime() {
		if r := add(u + "/changes"); r != nil {
			return r
		}
	}
	for _, name := range children {
		if len(u)+len(name) > message.MaxURL { // before it is put together
			return refusal.New(message.CodeBadRequest, "subscription manager: a child's name of %d bytes makes no address", len(name))
		}
		for _, prefix := range [objectChild]string{"/", "/children/"} {
			if r := add(u + prefix + name); r != nil {
				return r
			}
		}
	}
	return nil
}

func (s *Subscriptions) subscribe(c *routing.Client, list []message.URL) *refusal.Refusal {
	var fresh []message.URL
	for _, u := range list {
		if !s.rights.MayListen(c, u) && !s.justGranted(c, u) {
			return refusal.New(message.CodeForbidden, "only its own runtime may listen at %s, to which it has to be allocated first; nothing was subscribed", u)
		}
		if s.state.Subscriptions.Get(state.SubscriptionKey(c.Runtime(), u)) == nil && address.Runtime(u) != c.Runtime() {
			fresh = append(fresh, u)
		}
	}
	if have, limit := s.state.Subscriptions.Count("r:"+string(c.Runtime())), s.limits.Subscriptions; have+len(fresh) > limit {
		return refusal.New(message.CodeTooMany, "the runtime subscribes to %d addresses, at most %d are allowed; unsubscribe some", have, limit)
	}
	if len(fresh) > 0 {
		if r := s.writes.May(c, c.Runtime(), len(fresh)); r != nil {
			return r
		}
	}
	for _, u := range fresh {
		ctx, cancel := s.state.Within(c.Context())
		row := &state.Subscription{Runtime: c.Runtime(), Address: u, Since: time.Now().UTC(), Source: s.state.SourceTerm(c.From)}
		err := s.state.Subscriptions.Change(ctx, state.SubscriptionKey(c.Runtime(), u), func(*state.Subscription) (*state.Subscription, error) { return row, nil })
		cancel()
		if r := s.writes.Failed(err); r != nil {
			return r
		}
	}
	if s.router.Cluster() {
		c.Finish() // from here on it may wait for other servers
	}
	for _, u := range list {
		allowed, err := s.router.Listen(c, u)
		if err != nil {
			return refusal.New(message.CodeUnavailable, "subscribed, but not routed yet: %v; connect again", err)
		}
		if !allowed { // the address was allocated to another runtime meanwhile
			if err := s.state.Unsubscribe(c.Context(), state.SubscriptionKey(c.Runtime(), u)); err != nil {
				s.log.Warn("unsubscribe", "runtime", c.Runtime(), "error", err)
			}
			return refusal.New(message.CodeForbidden, "only its own runtime may listen at %s", u)
		}
	}
	return nil
}

func (s *Subscriptions) unsubscribe(c *routing.Client, list []message.URL) *refusal.Refusal {
	for _, u := range list {
		s.router.Unwant(c, u, routing.Subscribed|routing.Learned)
		key := state.SubscriptionKey(c.Runtime(), u)
		if s.state.Subscriptions.Get(key) == nil {
			continue
		}
		if r := s.writes.May(c, c.Runtime(), 1); r != nil {
			return r
		}
		if r := s.writes.Failed(s.state.Unsubscribe(c.Context(), key)); r != nil {
			return r
		}
	}
	return nil
}

// justGranted tells whether another node has given u to c's runtime a moment ago. c's reader calls it.
func (s *Subscriptions) justGranted(c *routing.Client, u message.URL) bool {
	if !s.router.Cluster() {
		return false
	}
	c.Finish() // from here on it waits for other servers
	return s.rights.JustGranted(c.Context(), c, u)
}

// Leave ends all subscriptions of a connection's runtime.
func (s *Subscriptions) Leave(c *routing.Client) {
	for key := range s.state.Subscriptions.Find("r:" + string(c.Runtime())) {
		if err := s.state.Unsubscribe(c.Context(), key); err != nil {
			s.log.Warn("unsubscribe", "runtime", c.Runtime(), "error", err)
		}
	}
}
