package node

import (
	"context"
	"strings"
	"time"

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
		Resources, Subscribe, Unsubscribe, Resource, ChildrenResources names
	}
	if err := m.Decode(&body); err != nil {
		return nil, refuse(message.CodeBadRequest, "subscription manager: %v", err)
	}
	texts := append(append(body.Resources, body.Subscribe...), body.Unsubscribe...)
	for _, object := range body.Resource {
		u, err := message.ParseURL(object)
		if err != nil {
			return nil, refuse(message.CodeBadRequest, "subscription manager: resource: %v", err)
		}
		texts = append(texts, n.objectAddresses(c, u, body.ChildrenResources)...)
	}
	if len(texts) == 0 {
		return nil, refuse(message.CodeBadRequest, "subscription manager: no addresses; give them as resources, subscribe or resource")
	}
	if len(texts) > n.opts.Limits.Subscriptions {
		return nil, refuse(message.CodeTooMany, "subscription manager: %d addresses at once, at most %d", len(texts), n.opts.Limits.Subscriptions)
	}
	list := make([]message.URL, 0, len(texts))
	for _, text := range texts {
		u, err := message.ParseURL(text)
		if err != nil {
			return nil, refuse(message.CodeBadRequest, "subscription manager: %v", err)
		}
		list = append(list, u)
	}
	return list, nil
}

// objectAddresses is the Message Node chapter's form: a data object and the names of its children. Who does not own
// the object gets its publications only.
func (n *Node) objectAddresses(c *conn, object message.URL, children names) []string {
	u := strings.TrimSuffix(string(object), "/")
	var list []string
	if n.mayListen(c, object) {
		list = append(list, u)
	}
	if _, tail, _ := strings.Cut(strings.TrimPrefix(object.Path(), "/"), "/"); tail == "" && !object.IsRuntime() {
		list = append(list, u+"/changes")
	}
	for _, name := range children {
		list = append(list, u+"/"+name, u+"/children/"+name)
	}
	return list
}

// mayListen tells whether c may get what is sent to u. Its own addresses are a runtime's alone: what is under its URL,
// what is allocated to it, and the subscription address where a reporter decides who observes. Publications are for
// everybody.
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
		return owner == "" || owner == c.runtime
	}
	return true
}

func (n *Node) subscribe(c *conn, list []message.URL) *refusal {
	var fresh []message.URL
	for _, u := range list {
		if !n.mayListen(c, u) {
			return refuse(message.CodeForbidden, "only its own runtime may listen at %s; nothing was subscribed", u)
		}
		if n.subscriptions.get(subscriptionKey(c.runtime, u)) == nil && runtimeOf(u) != c.runtime {
			fresh = append(fresh, u)
		}
	}
	if have, limit := n.subscriptions.count("r:"+string(c.runtime)), n.opts.Limits.Subscriptions; have+len(fresh) > limit {
		return refuse(message.CodeTooMany, "the runtime subscribes to %d addresses, at most %d are allowed; unsubscribe some", have, limit)
	}
	if len(fresh) > 0 {
		if r := n.writable(c.runtime, len(fresh)); r != nil {
			return r
		}
	}
	for _, u := range fresh {
		ctx, cancel := context.WithTimeout(c.ctx, n.opts.Times.State)
		s := &subscription{Runtime: c.runtime, Address: u, Since: time.Now().UTC(), Source: n.sourceTerm(c.from)}
		err := n.subscriptions.change(ctx, subscriptionKey(c.runtime, u), func(*subscription) (*subscription, error) { return s, nil })
		cancel()
		if r := n.stateRefusal(err); r != nil {
			return r
		}
	}
	for _, u := range list {
		if err := n.want(c, u, subscribed); err != nil {
			return refuse(message.CodeUnavailable, "subscribed, but not routed yet: %v; connect again", err)
		}
	}
	return nil
}

func (n *Node) unsubscribe(c *conn, list []message.URL) *refusal {
	for _, u := range list {
		n.unwant(c, u, subscribed|learned)
		key := subscriptionKey(c.runtime, u)
		if n.subscriptions.get(key) == nil {
			continue
		}
		if r := n.writable(c.runtime, 1); r != nil {
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
	return n.subscriptions.change(ctx, key, func(*subscription) (*subscription, error) { return nil, nil })
}

func subscriptionKey(runtime, u message.URL) string {
	return hash(string(runtime)) + "." + hash(string(u.Canonical()))
}
