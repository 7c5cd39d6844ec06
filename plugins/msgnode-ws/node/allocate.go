package node

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/refjson"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/sdk/message"
)

// addressAllocation is the node's function domain://msg-node.<domain>/address-allocation.
func (n *Node) addressAllocation(c *conn, m message.Message) (message.Message, *refusal.Refusal) {
	switch m.Type {
	case message.Create:
		return n.allocate(c, m)
	case message.Delete:
		return n.deallocate(c, m)
	}
	return message.Message{}, refusal.New(message.CodeBadRequest, "address allocation: %s is not one of create, delete", m.Type)
}

func (n *Node) allocate(c *conn, m message.Message) (message.Message, *refusal.Refusal) {
	var body struct {
		Scheme string `json:"scheme"`
		Value  struct {
			Number        *int   `json:"number"`
			AllocationKey string `json:"allocationKey"`
			Identifier    string `json:"identifier"`
		} `json:"value"`
	}
	if err := m.Decode(&body); err != nil {
		return message.Message{}, refusal.New(message.CodeBadRequest, "address allocation: %v", err)
	}
	scheme, number := body.Scheme, 1
	if scheme == "" {
		scheme = message.SchemeHyperty
	}
	if body.Value.Number != nil {
		number = *body.Value.Number
	}
	if r := n.checkAllocation(c, scheme, number, body.Value.AllocationKey, body.Value.Identifier); r != nil {
		return message.Message{}, r
	}
	list, r := n.grantAll(c, scheme, number, body.Value.Identifier, body.Value.AllocationKey)
	if r != nil {
		return message.Message{}, r
	}
	for _, u := range list {
		if err := n.want(c, u, allocated); err != nil {
			return message.Message{}, refusal.New(message.CodeUnavailable, "allocated, but not routed yet: %v; connect again", err)
		}
	}
	return m.Respond(message.CodeOK, map[string]any{"allocated": list}), nil
}

// grantAll gives c's runtime a wished address, or a block of new ones: all of it or nothing.
func (n *Node) grantAll(c *conn, scheme string, number int, identifier, key string) ([]message.URL, *refusal.Refusal) {
	if r := n.writable(c, c.runtime, number); r != nil {
		return nil, r
	}
	a := state.Allocation{Runtime: c.runtime, Key: key, Wished: identifier != "", Seen: time.Now().UTC().Truncate(24 * time.Hour), Source: n.state.SourceTerm(c.from)}
	var list []message.URL
	for len(list) < number {
		id := identifier
		if id == "" {
			id = newGUID()
		}
		a.Address = message.URL(scheme + "://" + n.opts.Domain + "/" + id)
		err := n.grant(c.ctx, a)
		if errors.Is(err, errConflict) && identifier == "" {
			continue
		}
		if err != nil {
			n.releaseAll(c.ctx, list, c.runtime) // of a block that is not whole nobody is told
			if errors.Is(err, errConflict) {
				return nil, refusal.New(message.CodeConflict, "%s belongs to another runtime; wish for another identifier", a.Address)
			}
			return nil, n.stateRefusal(err)
		}
		list = append(list, a.Address)
	}
	return list, nil
}

// grant makes an address a runtime's, in one write. The error is errConflict where it is another one's. What the copy of
// the state says is never the answer: a node may be behind the others.
func (n *Node) grant(ctx context.Context, a state.Allocation) error {
	ctx, cancel := context.WithTimeout(ctx, n.opts.Times.State)
	defer cancel()
	fresh := false
	err := n.state.Allocations.Change(ctx, state.AddressKey(a.Address), func(old *state.Allocation) (*state.Allocation, error) {
		if fresh = old == nil; old != nil && old.Runtime != a.Runtime {
			return nil, errConflict
		}
		given := a
		if old != nil {
			given.Key = old.Key
		}
		return &given, nil
	})
	if err == nil && fresh {
		n.endOthers(ctx, &a)
	}
	return err
}

// releaseAll gives back what was just granted. Where the state cannot be written that takes no longer than one write would:
// the retention time frees what is left.
func (n *Node) releaseAll(ctx context.Context, list []message.URL, runtime message.URL) {
	ctx, cancel := context.WithTimeout(ctx, n.opts.Times.State)
	defer cancel()
	for _, u := range list {
		if n.release(ctx, u, runtime) != nil {
			return
		}
	}
}

// release ends a runtime's right to an address, in one write. The error is errConflict where it is another one's.
func (n *Node) release(ctx context.Context, u, runtime message.URL) error {
	ctx, cancel := context.WithTimeout(ctx, n.opts.Times.State)
	defer cancel()
	return n.state.Allocations.Change(ctx, state.AddressKey(u), func(old *state.Allocation) (*state.Allocation, error) {
		if old != nil && old.Runtime != runtime {
			return nil, errConflict
		}
		return nil, nil
	})
}

var errConflict = errors.New("belongs to another runtime")

func (n *Node) checkAllocation(c *conn, scheme string, number int, key, identifier string) *refusal.Refusal {
	l := n.opts.Limits
	switch scheme {
	case message.SchemeRuntime, message.SchemeRuntimeAlt, message.SchemeDomain, message.SchemeGlobal, "domain-idp", "domain-csp",
		"domain-broker", "mn", "user", "user-guid", "acct", "hyperty-catalogue":
		return refusal.New(message.CodeBadRequest, "address allocation: addresses with the scheme %s are not given out", scheme)
	}
	if _, err := message.ParseURL(scheme + "://x/x"); err != nil || len(scheme) > 32 {
		return refusal.New(message.CodeBadRequest, "address allocation: scheme %.40q: want up to 32 lower-case letters and hyphens", scheme)
	}
	if number < 1 {
		return refusal.New(message.CodeBadRequest, "address allocation: number %d: want 1 or more", number)
	}
	if number > l.Block {
		return refusal.New(message.CodeTooLarge, "address allocation: number %d: at most %d at once", number, l.Block)
	}
	if len(key) > 256 {
		return refusal.New(message.CodeTooLarge, "address allocation: an allocation key of %d bytes, at most 256", len(key))
	}
	if identifier != "" {
		if number != 1 {
			return refusal.New(message.CodeBadRequest, "address allocation: an identifier is one address, number is %d", number)
		}
		if !goodIdentifier(identifier) {
			return refusal.New(message.CodeBadRequest, "address allocation: identifier %.80q: want up to 64 of a–z, 0–9, '.', '_', '-', starting with a letter or digit", identifier)
		}
		if n.state.Owner(message.URL(scheme+"://"+n.opts.Domain+"/"+identifier)) == c.runtime {
			return nil // it has it already, that counts once
		}
	}
	if have := n.state.Allocations.Count("r:" + string(c.runtime)); have+number > l.Addresses {
		return refusal.New(message.CodeTooMany, "address allocation: the runtime has %d addresses, at most %d are given out; free some", have, l.Addresses)
	}
	return nil
}

// goodIdentifier: what people can type and tell apart.
func goodIdentifier(s string) bool {
	if len(s) == 0 || len(s) > 64 || strings.IndexByte("._-", s[0]) >= 0 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && strings.IndexByte("._-", c) < 0 {
			return false
		}
	}
	return true
}

// deallocate frees addresses, or blocks by their key. Both fields may have addresses and keys, one or a list of
// them, nested or not; what the node does not know is ignored.
func (n *Node) deallocate(c *conn, m message.Message) (message.Message, *refusal.Refusal) {
	var body struct {
		Resource          refjson.Names `json:"resource"`
		ChildrenResources refjson.Names `json:"childrenResources"`
	}
	if err := m.Decode(&body); err != nil {
		return message.Message{}, refusal.New(message.CodeBadRequest, "address allocation: %v", err)
	}
	which := append(body.Resource, body.ChildrenResources...)
	if len(which) == 0 {
		return message.Message{}, refusal.New(message.CodeBadRequest, "address allocation: delete needs resource (an allocation key) or childrenResources (addresses)")
	}
	gone, r := n.freed(c, which)
	if r != nil {
		return message.Message{}, r
	}
	if len(gone) > 0 {
		if r := n.writable(c, c.runtime, len(gone)); r != nil {
			return message.Message{}, r
		}
	}
	for _, u := range gone {
		err := n.release(c.ctx, u, c.runtime)
		if errors.Is(err, errConflict) { // freed and given away meanwhile, at another node
			return message.Message{}, refusal.New(message.CodeForbidden, "%s belongs to another runtime", u)
		}
		if r := n.stateRefusal(err); r != nil {
			return message.Message{}, r
		}
		n.unwant(c, u, allocated)
	}
	return m.Respond(message.CodeOK, nil), nil
}

// freed lists the runtime's addresses that which names, themselves or by their allocation key. It refuses where an
// address is another runtime's.
func (n *Node) freed(c *conn, which refjson.Names) ([]message.URL, *refusal.Refusal) {
	keys, listed := map[string]bool{}, map[message.URL]bool{}
	for _, name := range which {
		u, err := message.ParseURL(name)
		if err != nil {
			keys[name] = true
			continue
		}
		owner := n.state.Owner(u)
		if owner != "" && owner != c.runtime {
			return nil, refusal.New(message.CodeForbidden, "%s belongs to another runtime; nothing was freed", u)
		}
		if u = u.Canonical(); owner != "" && u == u.Base() {
			listed[u] = true
		}
	}
	if len(keys) > 0 {
		if r := n.charge(c, n.state.Allocations.Count("r:"+string(c.runtime))/128); r != nil {
			return nil, r
		}
		for _, a := range n.state.Allocations.Find("r:" + string(c.runtime)) {
			if a.Key != "" && keys[a.Key] {
				listed[a.Address.Canonical()] = true
			}
		}
	}
	return slices.Collect(maps.Keys(listed)), nil
}
