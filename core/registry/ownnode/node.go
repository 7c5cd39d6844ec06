// Package ownnode is what a runtime asks of its own domain's Message Node: addresses, and entries in the Domain Registry.
//
// Once the node has answered, no call waits for it while it is away: an address is made here, of random letters, and a name
// that this process has been granted before is used again. Both are registered at the node when it is back, and what was
// given up meanwhile is removed there (see [Attendance]). A name that was never granted waits for the node, since another
// runtime may have it.
package ownnode

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// ErrAway is in the error of a request to this domain's Message Node that was not made, or was given up, because the node is
// away.
var ErrAway = errors.New("the Message Node is away")

// Options are what a Node is made from. All are required.
type Options struct {
	Domain    string // this runtime's
	PoolBlock int    // addresses fetched at once
	// Request posts a request and returns the value of its successful answer.
	Request func(ctx context.Context, typ message.Type, to message.URL, body any) (message.Message, error)
}

// Node is the Message Node of this runtime's domain. T is a record of what was given up while the node was away. Any
// goroutine uses it. Make it with [New].
type Node[T any] struct {
	Attendance[T]
	opts Options
	pool pool
	life string // the allocation key of what the node gives this process
}

// New makes a Node that is not known to be there.
func New[T any](o Options) *Node[T] {
	return &Node[T]{opts: o, life: message.LifeKey + strings.ToLower(rand.Text()), pool: pool{free: map[string][]message.URL{}, filling: map[string]chan struct{}{}}}
}

// Ask sends a request to a function of the node. If the node is away, or goes, the error is [ErrAway], at once.
func (n *Node[T]) Ask(ctx context.Context, typ message.Type, to message.URL, body any) (message.Message, error) {
	there, cancel := n.While(ctx)
	defer cancel()
	if ctx.Err() == nil && there.Err() != nil {
		return message.Message{}, fmt.Errorf("%s to %s: %w", typ, to, ErrAway)
	}
	answer, err := n.opts.Request(there, typ, to, body)
	if err != nil && ctx.Err() == nil && there.Err() != nil {
		return answer, fmt.Errorf("%s to %s: %w", typ, to, ErrAway)
	}
	return answer, err
}

const (
	registerTries = 5
	registerPause = 250 * time.Millisecond
)

// CreateEntry puts an entry into the Domain Registry. It repeats that a few times, as the node may just be starting again.
func (n *Node[T]) CreateEntry(ctx context.Context, entry any) error {
	pause := backoff.Backoff{Min: registerPause, Max: registerPause}
	for try := 1; ; try++ {
		_, err := n.Ask(ctx, message.Create, message.DomainRegistryAddress(n.opts.Domain), map[string]any{"value": entry})
		if err == nil || try == registerTries || !isCode(err, message.CodeTimeout, message.CodeError, message.CodeUnavailable) {
			return err
		}
		if !pause.Wait(ctx) {
			return errors.Join(err, ctx.Err())
		}
	}
}

// KeepAlive renews an entry, with a new proof if renewed is not nil. It waits also while the node is away. The error is a 404
// if the node does not know the entry.
func (n *Node[T]) KeepAlive(ctx context.Context, url message.URL, renewed *proof.EntryProof) error {
	value := map[string]any{"status": message.Live.String()}
	if renewed != nil {
		value["proof"] = renewed
	}
	_, err := n.opts.Request(ctx, message.Update, message.DomainRegistryAddress(n.opts.Domain), map[string]any{"resource": url, "value": value})
	return err
}

// LeaveEntry marks an entry of the Domain Registry as disconnected.
func (n *Node[T]) LeaveEntry(ctx context.Context, url message.URL) error {
	body := map[string]any{"resource": url, "value": map[string]any{"status": message.Disconnected.String()}}
	_, err := n.Ask(ctx, message.Update, message.DomainRegistryAddress(n.opts.Domain), body)
	if isCode(err, message.CodeNotFound) {
		return nil
	}
	return err
}
