package node

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refjson"
	"github.com/protofly/protofly/sdk/message"
)

// subscription is one address that one runtime listens to.
type subscription struct {
	Runtime message.URL `json:"runtime"`
	Address message.URL `json:"address"`
	Since   time.Time   `json:"since"`
	Source  string      `json:"source,omitempty"` // whom it is counted by: see sourceTerm
}

func (s *subscription) terms() []string {
	return withSource([]string{"r:" + string(s.Runtime), "a:" + string(s.Address.Canonical())}, s.Source)
}

// subscriptionManager is the node's function domain://msg-node.<domain>/sm. Whoever sends is who subscribes: body.source
// is not used, or one runtime could redirect another's messages.
func (n *Node) subscriptionManager(c *conn, m message.Message) (message.Message, *refusal) {
	if m.Type != message.Subscribe && m.Type != message.Unsubscribe {
		return message.Message{}, refuse(message.CodeBadRequest, "subscription manager: %s is not one of subscribe, unsubscribe", m.Type)
	}
	list, r := n.subscribedAddresses(c, m)
	if r != nil {
		return message.Message{}, r
	}
	if m.Type == message.Unsubscribe {
		r = n.unsubscribe(c, list)
	} else {
		r = n.subscribe(c, list)
	}
	if r != nil {
		return message.Message{}, r
	}
	return m.Respond(message.CodeOK, nil), nil
}

// subscribedAddresses reads the addresses from every field in which implementations and texts put them: resources;
// subscribe or unsubscribe; resource with childrenResources. Several may be there together.
func (n *Node) subscribedAddresses(c *conn, m message.Message) ([]message.URL, *refusal) {
	var body struct {
		Resources, Subscribe, Unsubscribe, Resource, ChildrenResources refjson.Names
	}
	if err := m.Decode(&body); err != nil {
		return nil, refuse(message.CodeBadRequest, "subscription manager: %v", err)
	}
	texts := slices.Concat(body.Resources, body.Subscribe, body.Unsubscribe)
	// Each resource is multiplied by the children: counted first, made after.
	count := len(texts) + len(body.Resource)*(objectOwn+objectChild*len(body.ChildrenResources))
	if count == 0 {
		return nil, refuse(message.CodeBadRequest, "subscription manager: no addresses; give them as resources, subscribe or resource")
	}
	if limit := n.opts.Limits.Subscriptions; count > limit && len(texts)+len(body.Resource) > 0 {
		return nil, refuse(message.CodeTooMany, "subscription manager: %d addresses at once, at most %d", count, limit)
	}
	list := make([]message.URL, 0, count)
	seen := make(map[message.URL]bool, count)
	add := func(text string) *refusal {
		u, err := message.ParseURL(strings.Clone(text)) // it may be kept, and is a part of a long list
		if err != nil {
			return refuse(message.CodeBadRequest, "subscription manager: %v", err)
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
		if r := n.objectAddresses(c, object, body.ChildrenResources, add); r != nil {
			return nil, r
		}
	}
	return list, nil
}

// How many addresses a data object is at most: itself and its changes, and each of its children in two forms.
const objectOwn, objectChild = 2, 2

// objectAddresses is the Message Node chapter's form: a data object and the names of its children. Who does not own
// the object gets its publications only.
func (n *Node) objectAddresses(c *conn, text string, children refjson.Names, add func(string) *refusal) *refusal {
	object, err := message.ParseURL(text)
	if err != nil {
		return refuse(message.CodeBadRequest, "subscription manager: resource: %v", err)
	}
	u := strings.TrimSuffix(string(object), "/")
	if n.mayListen(c, object) {
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
			return refuse(message.CodeBadRequest, "subscription manager: a child's name of %d bytes makes no address", len(name))
		}
		for _, prefix := range [objectChild]string{"/", "/children/"} {
			if r := add(u + prefix + name); r != nil {
				return r
			}
		}
	}
	return nil
}

// mayListen tells whether c may get what is sent to u. Its own addresses are a runtime's alone: what is under its URL,
// what is allocated to it, and the subscription address where a reporter decides who observes. Publications are for
// everybody. A runtime of the JSON dialects makes up addresses by itself and may listen at them, for as long as they are
// allocated to nobody; what another domain gives out this node does not know.
func (n *Node) mayListen(c *conn, u message.URL) bool {
	if u == message.SessionAddress || u.IsBackEnd() {
		return false
	}
	if r := runtimeOf(u); r != "" {
		return r == c.runtime
	}
	tail := strings.TrimPrefix(string(u.Canonical()), string(u.Base().Canonical()))
	if tail == "" || tail == "/subscription" {
		owner := n.owner(u)
		return owner == c.runtime || owner == "" && (c.legacy() || n.foreign(u))
	}
	return true
}

func (n *Node) subscribe(c *conn, list []message.URL) *refusal {
	var fresh []message.URL
	for _, u := range list {
		if !n.mayListen(c, u) && !n.justGranted(c, u) {
			return refuse(message.CodeForbidden, "only its own runtime may listen at %s, to which it has to be allocated first; nothing was subscribed", u)
		}
		if n.subscriptions.Get(subscriptionKey(c.runtime, u)) == nil && runtimeOf(u) != c.runtime {
			fresh = append(fresh, u)
		}
	}
	if have, limit := n.subscriptions.Count("r:"+string(c.runtime)), n.opts.Limits.Subscriptions; have+len(fresh) > limit {
		return refuse(message.CodeTooMany, "the runtime subscribes to %d addresses, at most %d are allowed; unsubscribe some", have, limit)
	}
	if len(fresh) > 0 {
		if r := n.writable(c, c.runtime, len(fresh)); r != nil {
			return r
		}
	}
	for _, u := range fresh {
		ctx, cancel := context.WithTimeout(c.ctx, n.opts.Times.State)
		s := &subscription{Runtime: c.runtime, Address: u, Since: time.Now().UTC(), Source: n.sourceTerm(c.from)}
		err := n.subscriptions.Change(ctx, subscriptionKey(c.runtime, u), func(*subscription) (*subscription, error) { return s, nil })
		cancel()
		if r := n.stateRefusal(err); r != nil {
			return r
		}
	}
	if n.opts.NATS != "" {
		c.finish() // from here on it may wait for other servers
	}
	for _, u := range list {
		allowed, err := n.listen(c, u)
		if err != nil {
			return refuse(message.CodeUnavailable, "subscribed, but not routed yet: %v; connect again", err)
		}
		if !allowed { // allocated to another runtime meanwhile
			if err := n.forget(c.ctx, subscriptionKey(c.runtime, u)); err != nil {
				n.log.Warn("unsubscribe", "runtime", c.runtime, "error", err)
			}
			return refuse(message.CodeForbidden, "only its own runtime may listen at %s", u)
		}
	}
	return nil
}

func (n *Node) unsubscribe(c *conn, list []message.URL) *refusal {
	for _, u := range list {
		n.unwant(c, u, subscribed|learned)
		key := subscriptionKey(c.runtime, u)
		if n.subscriptions.Get(key) == nil {
			continue
		}
		if r := n.writable(c, c.runtime, 1); r != nil {
			return r
		}
		if r := n.stateRefusal(n.forget(c.ctx, key)); r != nil {
			return r
		}
	}
	return nil
}

// forget removes a subscription from the state.
func (n *Node) forget(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, n.opts.Times.State)
	defer cancel()
	return n.subscriptions.Change(ctx, key, func(*subscription) (*subscription, error) { return nil, nil })
}

func subscriptionKey(runtime, u message.URL) string {
	return backbone.Hash(string(runtime)) + "." + backbone.Hash(string(u.Canonical()))
}
