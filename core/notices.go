package core

import (
	"context"
	"strings"
	"sync"

	"github.com/protofly/protofly/sdk/message"
)

// notices are what this runtime's hyperties follow of Domain Registries: they subscribe to <address>/registration at
// the address's Message Node, and get an update there with each change of its status (specification, "Domain
// registry": notification). The node knows runtimes, not hyperties: so the listeners are here, and the runtime
// subscribes again where a node may have forgotten it.
type notices struct {
	rt *Runtime

	mu sync.Mutex
	by map[message.URL]map[message.URL]func() // address, hyperty: ends the listener; maxNotices of a hyperty
}

// maxNotices is how many addresses one hyperty may follow.
const maxNotices = 1024

// noticed is the addresses that m subscribes to or unsubscribes from, where all of them are registrations.
func noticed(m *message.Message) (domain string, list message.URLs) {
	domain = m.To.NodeDomain()
	if m.Type != message.Subscribe && m.Type != message.Unsubscribe || m.To.Canonical() != message.SubscriptionAddress(domain) {
		return "", nil
	}
	var body struct{ Resources, Subscribe, Unsubscribe message.URLs }
	if m.Decode(&body) != nil {
		return "", nil // the node says what is wrong with it
	}
	list = append(append(body.Resources, body.Subscribe...), body.Unsubscribe...)
	for _, u := range list {
		if !strings.HasSuffix(string(u.Canonical()), "/registration") || u.IsRuntime() {
			return "", nil
		}
	}
	return domain, list
}

// post looks at what a hyperty posts. It tells whether the message is done: an unsubscribe of what another one of this
// runtime still follows does not go to the node.
func (n *notices) post(a *attachment, m message.Message) (done bool, err error) {
	_, list := noticed(&m)
	if len(list) == 0 {
		return false, nil
	}
	if m.Type == message.Unsubscribe {
		last := n.drop(a.url, list)
		return len(last) < len(list), nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	count := 0
	for _, who := range n.by {
		if who[a.url] != nil {
			count++
		}
	}
	if count+len(list) > maxNotices {
		return false, &message.ResponseError{Code: message.CodeTooMany, From: n.rt.URL(), Description: "too many registrations are followed already"}
	}
	for _, u := range list {
		u = u.Canonical()
		if n.by == nil {
			n.by = map[message.URL]map[message.URL]func(){}
		}
		if n.by[u] == nil {
			n.by[u] = map[message.URL]func(){}
		}
		if n.by[u][a.url] == nil {
			n.by[u][a.url] = a.listen(u)
		}
	}
	return false, nil
}

// drop ends a hyperty's listeners at the addresses, at all of them where list is nil. It returns those that nobody
// follows any more.
func (n *notices) drop(who message.URL, list message.URLs) (last message.URLs) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if list == nil {
		for u, by := range n.by {
			if by[who] != nil {
				list = append(list, u)
			}
		}
	}
	for _, u := range list {
		u = u.Canonical()
		if stop := n.by[u][who]; stop != nil {
			stop()
			delete(n.by[u], who)
		}
		if len(n.by[u]) == 0 {
			delete(n.by, u)
			last = append(last, u)
		}
	}
	return last
}

// end is drop for a hyperty that has gone; the nodes are told in the background.
func (n *notices) end(who message.URL) {
	n.tell(message.Unsubscribe, n.drop(who, nil))
}

// back subscribes again at a domain's node, to which there is a connection again.
func (n *notices) back(domain string) {
	n.mu.Lock()
	var list message.URLs
	for u := range n.by {
		if u.NodeDomain() == domain {
			list = append(list, u)
		}
	}
	n.mu.Unlock()
	n.tell(message.Subscribe, list)
}

// tell subscribes or unsubscribes in the runtime's own name.
func (n *notices) tell(t message.Type, list message.URLs) {
	byDomain := map[string]message.URLs{}
	for _, u := range list {
		byDomain[u.NodeDomain()] = append(byDomain[u.NodeDomain()], u)
	}
	for domain, urls := range byDomain {
		n.rt.background(func(ctx context.Context) {
			m := message.Message{Type: t, From: n.rt.URL().Join("subscriptions"), To: message.SubscriptionAddress(domain),
				Body: message.Encode(map[string]message.URLs{"resources": urls})}
			answer, err := n.rt.bus.Request(ctx, m)
			if err == nil {
				_, err = answer.OK()
			}
			if err != nil && ctx.Err() == nil {
				n.rt.log.Warn("registrations are not followed", "domain", domain, "operation", t, "addresses", len(urls), "error", err)
			}
		})
	}
}

// status is told what a Message Node's stub says of itself.
func (n *notices) status(domain string, m message.Message) {
	var body struct {
		Value message.Status `json:"value"`
	}
	if m.Type == message.Update && m.Decode(&body) == nil && body.Value == message.Live {
		n.back(domain)
	}
}
