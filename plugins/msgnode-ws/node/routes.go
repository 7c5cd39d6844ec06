package node

import (
	"sync"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/address"
	"github.com/protofly/protofly/sdk/message"
)

// routes are the addresses that lead to a connection, besides those under its runtime's URL.
type routes struct {
	mu    sync.Mutex
	why   map[message.URL]reason // by canonical address
	ended bool                   // the connection is detached, nothing leads to it any more
}

// reason is why an address leads to a connection; there may be several.
type reason uint8

const (
	allocated reason = 1 << iota
	subscribed
	learned // a connection of the JSON dialects has sent from it
)

// want has messages for u lead to c. It returns when they do.
func (n *Node) want(c *conn, u message.URL, why reason) error {
	if address.Runtime(u) == c.runtime {
		return nil // all of them do
	}
	u = u.Canonical()
	c.routes.mu.Lock()
	defer c.routes.mu.Unlock()
	if c.routes.ended {
		return nil
	}
	if c.routes.why == nil {
		c.routes.why = map[message.URL]reason{}
	}
	if c.routes.why[u] == 0 {
		if err := n.interests.Add(n.subjects.Address(u), c); err != nil {
			return err
		}
		if n.opts.NATS != "" { // others publish on connections of their own
			if err := n.backbone.Messages.FlushTimeout(n.opts.Times.State); err != nil {
				return err
			}
		}
	}
	c.routes.why[u] |= why
	return nil
}

// unwant takes one reason away; without any, messages for u lead to c no more.
func (n *Node) unwant(c *conn, u message.URL, why reason) {
	u = u.Canonical()
	c.routes.mu.Lock()
	defer c.routes.mu.Unlock()
	if c.routes.why[u] == 0 {
		return
	}
	if c.routes.why[u] &^= why; c.routes.why[u] == 0 {
		delete(c.routes.why, u)
		n.interests.Remove(n.subjects.Address(u), c)
	}
}

// maxLearned is how many routes are learned for one connection: nothing in the state counts them.
const maxLearned = 512

// learn makes a route of an address that a connection of the JSON dialects sends from, as the reference node does: its
// runtimes do not ask for every address. Nobody else's address is learned.
func (n *Node) learn(c *conn, from message.URL) {
	u := from.Canonical()
	if address.Runtime(u) != "" {
		return
	}
	c.routes.mu.Lock()
	known, count := c.routes.why[u] != 0, len(c.routes.why)
	c.routes.mu.Unlock()
	if known || count >= min(maxLearned, n.opts.Limits.Subscriptions) || n.state.Subscriptions.Count("a:"+string(u)) > 0 {
		return
	}
	if err := n.want(c, u, learned); err != nil {
		n.log.Warn("route not learned", "address", u, "error", err)
	}
	if !n.mayUse(c, u) { // given to another runtime meanwhile
		n.unwant(c, u, learned)
	}
}

// unwantSubject is unwant where only the subject of the address is known.
func (n *Node) unwantSubject(c *conn, subject string) {
	c.routes.mu.Lock()
	defer c.routes.mu.Unlock()
	for u := range c.routes.why {
		if n.subjects.Address(u) == subject {
			delete(c.routes.why, u)
			n.interests.Remove(subject, c)
			return
		}
	}
}

// listen has what is sent to u lead to c, where c may hear it: also where that changes at this moment.
func (n *Node) listen(c *conn, u message.URL) (allowed bool, err error) {
	if !n.mayListen(c, u) {
		return false, nil
	}
	if err := n.want(c, u, subscribed); err != nil {
		return false, err
	}
	if !n.mayListen(c, u) {
		n.unwant(c, u, subscribed)
		return false, nil
	}
	return true, nil
}
