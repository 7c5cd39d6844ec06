package node

import (
	"context"
	"errors"
	"time"

	"github.com/coder/websocket"
	"github.com/nats-io/nats.go"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

var errStopping = errors.New("the node stops")

// attach makes c the connection of its runtime: what its runtime was allocated and has subscribed leads to it from now
// on, and an older connection is closed.
func (n *Node) attach(c *conn) error {
	n.mu.Lock()
	if n.closing {
		n.mu.Unlock()
		return errStopping
	}
	old := n.runtimes[c.runtime]
	if err := n.enter(c, old != nil); err != nil {
		n.mu.Unlock()
		return err
	}
	n.runtimes[c.runtime], n.byID[c.id] = c, c
	delete(n.missing, c.runtime)
	n.mu.Unlock()
	subjects := []string{n.subjects.Address(c.runtime), n.subjects.Presence(c.runtime)}
	if c.dialect == binary {
		subjects = append(subjects, n.subjects.Frames(c.runtime))
	}
	if err := c.begin(); err != nil {
		return err
	}
	defer c.finish()
	for _, s := range subjects {
		if err := n.interests.Add(s, c); err != nil {
			return err
		}
	}
	if n.opts.NATS != "" {
		c.finish() // from here on it may wait for other servers
	}
	if old != nil && old != c {
		old.kick(closeReplaced, "replaced by a newer connection of this runtime")
	}
	for _, a := range n.state.Allocations.Find("r:" + string(c.runtime)) {
		if err := n.want(c, a.Address, allocated); err != nil {
			return err
		}
	}
	for _, s := range n.state.Subscriptions.Find("r:" + string(c.runtime)) {
		if _, err := n.listen(c, s.Address); err != nil {
			return err
		}
	}
	// Connections of this runtime at other nodes of the domain.
	presence := n.subjects.Presence(c.runtime)
	if err := n.backbone.Messages.Publish(presence, n.seal.Sign(presence, []byte(c.stamp))); err != nil || n.opts.NATS == "" {
		return err
	}
	return n.backbone.Messages.FlushTimeout(n.opts.Times.State) // others publish on connections of their own
}

// enter gives c a place among the attached connections. n.mu is held.
func (n *Node) enter(c *conn, replaces bool) error {
	l := n.opts.Limits
	if c.legacy() && n.legacies >= l.Legacy || !n.listener.enter(c.ticket, replaces, c.makeRoom) {
		return &wire.Refused{Code: codeFull, Reason: "the node has as many connections as it may", Retry: refusal.Seconds(comeAgain)}
	}
	if c.legacy() {
		n.legacies++
	}
	return nil
}

// makeRoom ends the connection so that another address may have one.
func (c *conn) makeRoom() {
	c.kick(websocket.StatusTryAgainLater, "the node has as many connections as it may, and your address has the most")
}

// codeFull is HTTP's 503, which the specification's codes do not have.
const codeFull = 503

// detach undoes attach. Subscriptions stay in the state for the grace period.
func (n *Node) detach(c *conn) {
	n.mu.Lock()
	if n.byID[c.id] != c {
		n.mu.Unlock()
		return
	}
	delete(n.byID, c.id)
	if c.legacy() {
		n.legacies--
	}
	if n.runtimes[c.runtime] == c {
		delete(n.runtimes, c.runtime)
		if n.state.Known(c.runtime) { // else nothing is to expire, and nothing to be remembered
			n.missing[c.runtime] = time.Now()
		}
	}
	n.mu.Unlock()
	for _, s := range []string{n.subjects.Address(c.runtime), n.subjects.Presence(c.runtime), n.subjects.Frames(c.runtime)} {
		n.interests.Remove(s, c)
	}
	c.routes.mu.Lock()
	defer c.routes.mu.Unlock()
	for u := range c.routes.why {
		n.interests.Remove(n.subjects.Address(u), c)
	}
	c.routes.why, c.routes.ended = nil, true
}

// elsewhere asks the other nodes of the domain whether a runtime is connected there.
func (n *Node) elsewhere(ctx context.Context, runtime message.URL) bool {
	if n.opts.NATS == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, n.opts.Times.State)
	defer cancel()
	presence := n.subjects.Presence(runtime)
	_, err := n.backbone.Messages.RequestWithContext(ctx, presence, n.seal.Sign(presence, nil))
	return !isNobody(err) // a forged answer could only say the same as none
}

func isNobody(err error) bool { return errors.Is(err, nats.ErrNoResponders) }
