package routing

import (
	"context"
	"errors"
	"time"

	"github.com/coder/websocket"
	"github.com/nats-io/nats.go"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/conn"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

var errClosed = errors.New("the connection is being closed")

// codeFull is HTTP's 503, which the specification's codes do not have.
const codeFull = 503

// Attach makes c the connection of its runtime: messages for the addresses that the runtime was allocated or has subscribed go
// to it from now on, and an older connection is closed. The error may be a [*wire.Refused].
func (r *Router) Attach(c *Client) error {
	if c.Closed() {
		return errClosed
	}
	old, ok := r.Roster.enter(c, func(replaces bool) bool { return r.o.Places.Enter(c.Ticket, replaces, c.makeRoom) })
	if !ok {
		return &wire.Refused{Code: codeFull, Reason: "the node has as many connections as it may", Retry: refusal.Seconds(retry)}
	}
	subjects := []string{r.subjects.Address(c.Runtime()), r.subjects.Presence(c.Runtime())}
	if c.Dialect == conn.Binary {
		subjects = append(subjects, r.subjects.Frames(c.Runtime()))
	}
	if err := c.Begin(); err != nil {
		return err
	}
	defer c.Finish()
	for _, s := range subjects {
		if err := r.interests.Add(s, c); err != nil {
			return err
		}
	}
	if r.o.Cluster {
		c.Finish() // from here on it may wait for other servers
	}
	if old != nil && old != c {
		old.Kick(conn.CodeReplaced, "replaced by a newer connection of this runtime")
	}
	for _, a := range r.state.Allocations.Find("r:" + string(c.Runtime())) {
		if err := r.Want(c, a.Address, Allocated); err != nil {
			return err
		}
	}
	for _, s := range r.state.Subscriptions.Find("r:" + string(c.Runtime())) {
		if _, err := r.Listen(c, s.Address); err != nil {
			return err
		}
	}
	// Connections of this runtime at other nodes of the domain.
	presence := r.subjects.Presence(c.Runtime())
	if err := r.o.NATS.Messages.Publish(presence, r.o.Seal.Sign(presence, []byte(c.Stamp))); err != nil || !r.o.Cluster {
		return err
	}
	return r.o.NATS.Messages.FlushTimeout(r.o.Times.State) // other clients of NATS publish on connections of their own
}

// makeRoom ends the connection so that another network address may have one.
func (c *Client) makeRoom() {
	c.Kick(websocket.StatusTryAgainLater, "the node has as many connections as it may, and your address has the most")
}

// Detach undoes Attach. Subscriptions stay in the state for the grace period.
func (r *Router) Detach(c *Client) {
	if !r.Roster.leave(c, r.state.Known(c.Runtime()), time.Now()) {
		return
	}
	for _, s := range []string{r.subjects.Address(c.Runtime()), r.subjects.Presence(c.Runtime()), r.subjects.Frames(c.Runtime())} {
		r.interests.Remove(s, c)
	}
	c.routes.mu.Lock()
	defer c.routes.mu.Unlock()
	for u := range c.routes.why {
		r.interests.Remove(r.subjects.Address(u), c)
	}
	c.routes.why, c.routes.ended = nil, true
}

// Elsewhere asks the other nodes of the domain whether a runtime is connected there.
func (r *Router) Elsewhere(ctx context.Context, runtime message.URL) bool {
	if !r.o.Cluster {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, r.o.Times.State)
	defer cancel()
	presence := r.subjects.Presence(runtime)
	_, err := r.o.NATS.Messages.RequestWithContext(ctx, presence, r.o.Seal.Sign(presence, nil))
	return !isNobody(err) // a forged answer has the same effect as none
}

func isNobody(err error) bool { return errors.Is(err, nats.ErrNoResponders) }
