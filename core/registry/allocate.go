package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/protofly/protofly/sdk/message"
)

// pool holds allocated addresses that are not used yet, by scheme.
type pool struct {
	mu      sync.Mutex
	free    map[string][]message.URL
	filling map[string]chan struct{} // closed when the block has come
}

// Allocate returns an address of the scheme that is this runtime's alone, from a block that the own domain's Message
// Node has given (specification, "Address allocation").
func (r *Registry) Allocate(ctx context.Context, scheme string) (message.URL, error) {
	if _, err := message.ParseURL(scheme + "://" + r.opts.Domain + "/x"); err != nil {
		return "", fmt.Errorf("allocate an address: %w", err)
	}
	p := &r.pool
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
			return r.fill(ctx, scheme, filling)
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
func (r *Registry) fill(ctx context.Context, scheme string, filling chan struct{}) (message.URL, error) {
	urls, err := r.allocate(ctx, r.askNode, scheme, r.opts.PoolBlock, "")
	p := &r.pool
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

// asking is [Registry.askNode], or the same for who waits also for a node that is away.
type asking func(ctx context.Context, typ message.Type, to message.URL, body any) (message.Message, error)

func (r *Registry) awaitingNode(ctx context.Context, typ message.Type, to message.URL, body any) (message.Message, error) {
	return r.request(ctx, typ, to, body, r.opts.LookupTimeout)
}

// allocate asks the node for addresses; identifier is a wished one, or "".
func (r *Registry) allocate(ctx context.Context, ask asking, scheme string, number int, identifier string) ([]message.URL, error) {
	type value struct {
		Number     int    `json:"number"`
		Identifier string `json:"identifier,omitempty"`
	}
	body := struct {
		Scheme string `json:"scheme"`
		Value  value  `json:"value"`
	}{scheme, value{number, identifier}}
	at := message.AllocationAddress(r.opts.Domain)
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
		if err == nil && (u.Scheme() != scheme || u.NodeDomain() != r.opts.Domain || u.Base() != u) {
			err = fmt.Errorf("%s is no %s address of %s", u, scheme, r.opts.Domain)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("allocate an address: %s answered: %w", at, err)
	}
	return got.Allocated, nil
}

// release gives addresses back to the node.
func (r *Registry) release(ctx context.Context, urls []message.URL) error {
	if len(urls) == 0 {
		return nil
	}
	_, err := r.askNode(ctx, message.Delete, message.AllocationAddress(r.opts.Domain), map[string]any{"childrenResources": urls})
	return err
}
