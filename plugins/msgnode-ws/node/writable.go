package node

import (
	"context"
	"errors"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/table"
	"github.com/protofly/protofly/sdk/message"
)

// writable tells whether a runtime may write rows to the state now, and has c pay for those beyond the first one, which
// the price of its request has in it. The error is the response to give.
func (n *Node) writable(c *conn, runtime message.URL, rows int) *refusal.Refusal {
	if n.opts.NATS == "" {
		if free, ok := freeBytes(n.opts.Data); ok && free < n.opts.Limits.MinFree {
			return refusal.New(message.CodeError, "the disk under the node's data folder is full: %d bytes free, %d are kept free; nothing was written",
				free, n.opts.Limits.MinFree)
		}
		if why := n.backbone.Fault(); why != "" {
			return refusal.New(message.CodeError, "the node's state cannot be written: %s", why)
		}
	}
	if wait, ok := n.rates.writers.Take(runtime, rows, time.Now()); !ok {
		return refusal.TryAgain(wait, "too many changes: at most %d a second", n.opts.Limits.Writes)
	}
	if rows > 1 {
		if r := n.charge(c, min(rowPrice*(rows-1), n.rates.largest)); r != nil {
			return r
		}
	}
	c.finish() // from here on it waits for the disk
	return nil
}

// stateRefusal is the response to an error of a table, nil for nil.
func (n *Node) stateRefusal(err error) *refusal.Refusal {
	if err == nil {
		return nil
	}
	if e := (*state.Full)(nil); errors.As(err, &e) {
		return refusal.New(e.Code, "%s", e.Text)
	}
	n.log.Error("state", "error", err)
	code := message.CodeError
	if s := (*table.Error)(nil); errors.As(err, &s) {
		code = s.Code()
	}
	if why := n.backbone.Fault(); why != "" {
		return refusal.New(message.CodeError, "the node's state cannot be written: %s", why)
	}
	return refusal.New(code, "%v", err)
}

// forget removes a subscription from the state.
func (n *Node) forget(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, n.opts.Times.State)
	defer cancel()
	return n.state.Subscriptions.Change(ctx, key, func(*state.Subscription) (*state.Subscription, error) { return nil, nil })
}
