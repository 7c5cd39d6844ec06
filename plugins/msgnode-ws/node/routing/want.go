package routing

import (
	"github.com/protofly/protofly/plugins/msgnode-ws/node/address"
	"github.com/protofly/protofly/sdk/message"
)

// Want makes messages for u go to c. It returns when they do.
func (r *Router) Want(c *Client, u message.URL, why Reason) error {
	if address.Runtime(u) == c.Runtime() {
		return nil // they all do
	}
	u = u.Canonical()
	c.routes.mu.Lock()
	defer c.routes.mu.Unlock()
	if c.routes.ended {
		return nil
	}
	if c.routes.why == nil {
		c.routes.why = map[message.URL]Reason{}
	}
	if c.routes.why[u] == 0 {
		if err := r.interests.Add(r.subjects.Address(u), c); err != nil {
			return err
		}
		if err := r.flush(); err != nil {
			return err
		}
	}
	c.routes.why[u] |= why
	return nil
}

// Unwant removes one reason; without any, messages for u do not go to c any more.
func (r *Router) Unwant(c *Client, u message.URL, why Reason) {
	u = u.Canonical()
	c.routes.mu.Lock()
	defer c.routes.mu.Unlock()
	if c.routes.why[u] == 0 {
		return
	}
	if c.routes.why[u] &^= why; c.routes.why[u] == 0 {
		delete(c.routes.why, u)
		r.interests.Remove(r.subjects.Address(u), c)
	}
}

// maxLearned is how many routes are learned for one connection: nothing in the state counts them.
const maxLearned = 512

// Learn makes a route of an address that a connection of the JSON dialects sends from, as the reference node does: its
// runtimes do not ask for every address. No other runtime's address is learned.
func (r *Router) Learn(c *Client, from message.URL) {
	u := from.Canonical()
	if address.Runtime(u) != "" {
		return
	}
	c.routes.mu.Lock()
	known, count := c.routes.why[u] != 0, len(c.routes.why)
	c.routes.mu.Unlock()
	if known || count >= min(maxLearned, r.o.Limits.Subscriptions) || r.state.Subscriptions.Count("a:"+string(u)) > 0 {
		return
	}
	if err := r.Want(c, u, Learned); err != nil {
		r.o.Log.Warn("route not learned", "address", u, "error", err)
	}
	if !r.rights.MayUse(c, u) { // given to another runtime meanwhile
		r.Unwant(c, u, Learned)
	}
}

// unwantSubject is Unwant if only the subject of the address is known.
func (r *Router) unwantSubject(c *Client, subject string) {
	c.routes.mu.Lock()
	defer c.routes.mu.Unlock()
	for u := range c.routes.why {
		if r.subjects.Address(u) == subject {
			delete(c.routes.why, u)
			r.interests.Remove(subject, c)
			return
		}
	}
}

// Listen makes messages for u go to c, if c may get them: also if that changes at this moment.
func (r *Router) Listen(c *Client, u message.URL) (allowed bool, err error) {
	if !r.rights.MayListen(c, u) {
		return false, nil
	}
	if err := r.Want(c, u, Subscribed); err != nil {
		return false, err
	}
	if !r.rights.MayListen(c, u) {
		r.Unwant(c, u, Subscribed)
		return false, nil
	}
	return true, nil
}
