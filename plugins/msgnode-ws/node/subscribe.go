package node

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/address"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refjson"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/sdk/message"
)

// subscriptionManager is the node's function domain://msg-node.<domain>/sm. Whoever sends is who subscribes: body.source
// is not used, or one runtime could redirect another's messages.
func (n *Node) subscriptionManager(c *conn, m message.Message) (message.Message, *refusal.Refusal) {
	if m.Type != message.Subscribe && m.Type != message.Unsubscribe {
		return message.Message{}, refusal.New(message.CodeBadRequest, "subscription manager: %s is not one of subscribe, unsubscribe", m.Type)
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
func (n *Node) subscribedAddresses(c *conn, m message.Message) ([]message.URL, *refusal.Refusal) {
	var body struct {
		Resources, Subscribe, Unsubscribe, Resource, ChildrenResources refjson.Names
	}
	if err := m.Decode(&body); err != nil {
		return nil, refusal.New(message.CodeBadRequest, "subscription manager: %v", err)
	}
	texts := slices.Concat(body.Resources, body.Subscribe, body.Unsubscribe)
	// Each resource is multiplied by the children: counted first, made after.
	count := len(texts) + len(body.Resource)*(objectOwn+objectChild*len(body.ChildrenResources))
	if count == 0 {
		return nil, refusal.New(message.CodeBadRequest, "subscription manager: no addresses; give them as resources, subscribe or resource")
	}
	if limit := n.opts.Limits.Subscriptions; count > limit && len(texts)+len(body.Resource) > 0 {
		return nil, refusal.New(message.CodeTooMany, "subscription manager: %d addresses at once, at most %d", count, limit)
	}
	list := make([]message.URL, 0, count)
	seen := make(map[message.URL]bool, count)
	add := func(text string) *refusal.Refusal {
		u, err := message.ParseURL(strings.Clone(text)) // it may be kept, and is a part of a long list
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
func (n *Node) objectAddresses(c *conn, text string, children refjson.Names, add func(string) *refusal.Refusal) *refusal.Refusal {
	object, err := message.ParseURL(text)
	if err != nil {
		return refusal.New(message.CodeBadRequest, "subscription manager: resource: %v", err)
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

func (n *Node) subscribe(c *conn, list []message.URL) *refusal.Refusal {
	var fresh []message.URL
	for _, u := range list {
		if !n.mayListen(c, u) && !n.justGranted(c, u) {
			return refusal.New(message.CodeForbidden, "only its own runtime may listen at %s, to which it has to be allocated first; nothing was subscribed", u)
		}
		if n.state.Subscriptions.Get(state.SubscriptionKey(c.runtime, u)) == nil && address.Runtime(u) != c.runtime {
			fresh = append(fresh, u)
		}
	}
	if have, limit := n.state.Subscriptions.Count("r:"+string(c.runtime)), n.opts.Limits.Subscriptions; have+len(fresh) > limit {
		return refusal.New(message.CodeTooMany, "the runtime subscribes to %d addresses, at most %d are allowed; unsubscribe some", have, limit)
	}
	if len(fresh) > 0 {
		if r := n.writable(c, c.runtime, len(fresh)); r != nil {
			return r
		}
	}
	for _, u := range fresh {
		ctx, cancel := context.WithTimeout(c.ctx, n.opts.Times.State)
		s := &state.Subscription{Runtime: c.runtime, Address: u, Since: time.Now().UTC(), Source: n.state.SourceTerm(c.from)}
		err := n.state.Subscriptions.Change(ctx, state.SubscriptionKey(c.runtime, u), func(*state.Subscription) (*state.Subscription, error) { return s, nil })
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
			return refusal.New(message.CodeUnavailable, "subscribed, but not routed yet: %v; connect again", err)
		}
		if !allowed { // allocated to another runtime meanwhile
			if err := n.forget(c.ctx, state.SubscriptionKey(c.runtime, u)); err != nil {
				n.log.Warn("unsubscribe", "runtime", c.runtime, "error", err)
			}
			return refusal.New(message.CodeForbidden, "only its own runtime may listen at %s", u)
		}
	}
	return nil
}

func (n *Node) unsubscribe(c *conn, list []message.URL) *refusal.Refusal {
	for _, u := range list {
		n.unwant(c, u, subscribed|learned)
		key := state.SubscriptionKey(c.runtime, u)
		if n.state.Subscriptions.Get(key) == nil {
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
