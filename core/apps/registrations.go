package apps

import (
	"context"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/sdk/message"
)

// registrations are the registrations at Domain Registries that this runtime's hyperties follow. A hyperty subscribes to
// <address>/registration at the address's Message Node, and gets an update with each change of the address's status
// (specification, "Domain registry": notification). The node knows runtimes, not hyperties. So the listeners are here, and the
// runtime subscribes again where a node may have forgotten it.
type registrations struct {
	self    message.URL
	request func(ctx context.Context, m message.Message) (message.Message, error)
	begin   func(func(ctx context.Context))
	log     hclog.Logger

	mu        sync.Mutex
	followers map[message.URL]map[message.URL]func() // by address and hyperty: ends the listener; at most maxRegistrations for each hyperty
}

// maxRegistrations is how many addresses one hyperty may follow.
const maxRegistrations = 1024

// followed returns the addresses that m subscribes to or unsubscribes from, if all of them are registrations.
func followed(m *message.Message) (list message.URLs) {
	domain := m.To.NodeDomain()
	if m.Type != message.Subscribe && m.Type != message.Unsubscribe || m.To.Canonical() != message.SubscriptionAddress(domain) {
		return nil
	}
	var body struct{ Resources, Subscribe, Unsubscribe message.URLs }
	if m.Decode(&body) != nil {
		return nil // the node refuses it and says why
	}
	list = append(append(body.Resources, body.Subscribe...), body.Unsubscribe...)
	for _, u := range list {
		if !strings.HasSuffix(string(u.Canonical()), "/registration") || u.IsRuntime() {
			return nil
		}
	}
	return list
}

// post handles a message that a hyperty has posted; who is the hyperty's address. It adds or ends the listeners of a
// subscription, which listen makes. done: the message must not go to the node, because another hyperty of this runtime still
// follows one of the addresses.
func (r *registrations) post(who message.URL, listen func(at message.URL) (stop func()), m message.Message) (done bool, err error) {
	list := followed(&m)
	if len(list) == 0 {
		return false, nil
	}
	if m.Type == message.Unsubscribe {
		last := r.drop(who, list)
		return len(last) < len(list), nil
	}
	return false, r.add(who, listen, list)
}

// add adds listeners of who at the addresses; listen makes one.
func (r *registrations) add(who message.URL, listen func(at message.URL) (stop func()), list message.URLs) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	count := 0
	for _, by := range r.followers {
		if by[who] != nil {
			count++
		}
	}
	if count+len(list) > maxRegistrations {
		return &message.ResponseError{Code: message.CodeTooMany, From: r.self, Description: "too many registrations are followed already"}
	}
	for _, u := range list {
		u = u.Canonical()
		if r.followers[u] == nil {
			r.followers[u] = map[message.URL]func(){}
		}
		if r.followers[u][who] == nil {
			r.followers[u][who] = listen(u)
		}
	}
	return nil
}

// drop ends the listeners of the hyperty with the address who: those at the addresses in list, or all if list is nil. It
// returns the addresses that no hyperty follows any more.
func (r *registrations) drop(who message.URL, list message.URLs) (last message.URLs) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if list == nil {
		for u, by := range r.followers {
			if by[who] != nil {
				list = append(list, u)
			}
		}
	}
	for _, u := range list {
		u = u.Canonical()
		if stop := r.followers[u][who]; stop != nil {
			stop()
			delete(r.followers[u], who)
		}
		if len(r.followers[u]) == 0 {
			delete(r.followers, u)
			last = append(last, u)
		}
	}
	return last
}

// follow has the component who follow the registrations of addresses, and subscribes to them in the background.
func (r *registrations) follow(who message.URL, addresses []message.URL, listen func(at message.URL) (stop func())) error {
	list := make(message.URLs, 0, len(addresses))
	for _, u := range addresses {
		list = append(list, u.Join("registration"))
	}
	if err := r.add(who, listen, list); err != nil {
		return err
	}
	r.tell(message.Subscribe, list)
	return nil
}

// unfollow ends that.
func (r *registrations) unfollow(who message.URL, addresses []message.URL) {
	list := make(message.URLs, 0, len(addresses))
	for _, u := range addresses {
		list = append(list, u.Join("registration"))
	}
	if len(list) > 0 {
		r.tell(message.Unsubscribe, r.drop(who, list))
	}
}

// end drops all listeners of a hyperty that has ended, and tells the nodes in the background.
func (r *registrations) end(who message.URL) {
	r.tell(message.Unsubscribe, r.drop(who, nil))
}

// renew subscribes again at a domain's node, which is connected again.
func (r *registrations) renew(domain string) {
	r.mu.Lock()
	var list message.URLs
	for u := range r.followers {
		if u.NodeDomain() == domain {
			list = append(list, u)
		}
	}
	r.mu.Unlock()
	r.tell(message.Subscribe, list)
}

// tell subscribes to the addresses, or unsubscribes from them, in the runtime's own name and in the background.
func (r *registrations) tell(t message.Type, list message.URLs) {
	byDomain := map[string]message.URLs{}
	for _, u := range list {
		byDomain[u.NodeDomain()] = append(byDomain[u.NodeDomain()], u)
	}
	for domain, urls := range byDomain {
		r.begin(func(ctx context.Context) {
			m := message.Message{Type: t, From: r.self.Join("subscriptions"), To: message.SubscriptionAddress(domain),
				Body: message.Encode(map[string]message.URLs{"resources": urls})}
			answer, err := r.request(ctx, m)
			if err == nil {
				_, err = answer.OK()
			}
			if err != nil && ctx.Err() == nil {
				r.log.Warn("registrations are not followed", "domain", domain, "operation", t, "addresses", len(urls), "error", err)
			}
		})
	}
}
