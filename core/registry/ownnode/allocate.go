package ownnode

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/protofly/protofly/sdk/message"
)

// Allocate returns an address of the scheme that only this runtime has, from a block that the Message Node of its domain has
// given (specification, "Address allocation").
func (n *Node[T]) Allocate(ctx context.Context, scheme string) (message.URL, error) {
	if _, err := message.ParseURL(scheme + "://" + n.opts.Domain + "/x"); err != nil {
		return "", fmt.Errorf("allocate an address: %w", err)
	}
	p := &n.pool
	for {
		p.mu.Lock()
		if free := p.free[scheme]; len(free) > 0 {
			p.free[scheme] = free[1:]
			p.mu.Unlock()
			return free[0], nil
		}
		filling := p.filling[scheme]
		if filling == nil {
			filling = make(chan struct{})
			p.filling[scheme] = filling
			p.mu.Unlock()
			return n.fill(ctx, scheme, filling)
		}
		p.mu.Unlock()
		select {
		case <-filling:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// fill fetches a block and returns its first address.
func (n *Node[T]) fill(ctx context.Context, scheme string, filling chan struct{}) (message.URL, error) {
	urls, err := n.allocate(ctx, n.Ask, scheme, n.opts.PoolBlock, "")
	p := &n.pool
	p.mu.Lock()
	delete(p.filling, scheme)
	if err == nil {
		p.free[scheme] = append(p.free[scheme], urls[1:]...)
	}
	p.mu.Unlock()
	close(filling)
	if err != nil {
		return "", err
	}
	return urls[0], nil
}

// Name asks the node for the address with a chosen identifier. wait: also while the node is away.
func (n *Node[T]) Name(ctx context.Context, scheme, identifier string, wait bool) (message.URL, error) {
	ask := asking(n.Ask)
	if wait {
		ask = n.opts.Request
	}
	urls, err := n.allocate(ctx, ask, scheme, 1, identifier)
	if err != nil {
		return "", err
	}
	return urls[0], nil
}

// Address returns an address that only this runtime has: from the node, or, while the node is away, a random one, which
// nobody else makes up; then granted is false, and the node hears of it when it is back.
func (n *Node[T]) Address(ctx context.Context, scheme string) (url message.URL, granted bool, err error) {
	url, err = n.Allocate(ctx, scheme)
	if errors.Is(err, ErrAway) {
		return message.URL(scheme + "://" + n.opts.Domain + "/" + strings.ToLower(rand.Text())), false, nil
	}
	return url, true, err
}

// Unused removes and returns the addresses that were allocated and not used.
func (n *Node[T]) Unused() (list []message.URL) {
	n.pool.mu.Lock()
	defer n.pool.mu.Unlock()
	for _, free := range n.pool.free {
		list = append(list, free...)
	}
	clear(n.pool.free)
	return list
}

// asking is [Node.Ask], or Options.Request, which waits also while the node is away.
type asking func(ctx context.Context, typ message.Type, to message.URL, body any) (message.Message, error)

// allocate asks the node for addresses; identifier is a chosen one, or "".
func (n *Node[T]) allocate(ctx context.Context, ask asking, scheme string, number int, identifier string) ([]message.URL, error) {
	type value struct {
		Number        int    `json:"number"`
		AllocationKey string `json:"allocationKey"`
		Identifier    string `json:"identifier,omitempty"`
	}
	body := struct {
		Scheme string `json:"scheme"`
		Value  value  `json:"value"`
	}{scheme, value{number, n.life, identifier}}
	at := message.AllocationAddress(n.opts.Domain)
	answer, err := ask(ctx, message.Create, at, body)
	if err != nil {
		return nil, fmt.Errorf("allocate an address: %w", err)
	}
	var got struct {
		Allocated message.URLs `json:"allocated"`
	}
	result, err := answer.Result()
	if err == nil {
		err = json.Unmarshal(result.Value, &got)
	}
	if err == nil && (len(got.Allocated) == 0 || len(got.Allocated) > number) {
		err = fmt.Errorf("%d addresses, want %d", len(got.Allocated), number)
	}
	for _, u := range got.Allocated {
		if err == nil && (u.Scheme() != scheme || u.NodeDomain() != n.opts.Domain || u.Base() != u) {
			err = fmt.Errorf("%s is no %s address of %s", u, scheme, n.opts.Domain)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("allocate an address: %s answered: %w", at, err)
	}
	return got.Allocated, nil
}

// Release gives addresses back to the node.
func (n *Node[T]) Release(ctx context.Context, urls []message.URL) error {
	if len(urls) == 0 {
		return nil
	}
	_, err := n.Ask(ctx, message.Delete, message.AllocationAddress(n.opts.Domain), map[string]any{"childrenResources": urls})
	return err
}
