package allocation

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/limits"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refjson"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/writes"
	"github.com/protofly/protofly/sdk/message"
)

// Allocation gives out the addresses of a domain.
type Allocation struct {
	domain string
	limits limits.Limits
	state  *state.State
	writes *writes.Writes
	router Router
	log    hclog.Logger
}

// Router is what leads messages to connections.
type Router interface {
	// Want has messages for u lead to c, and Unwant ends that.
	Want(c *routing.Client, u message.URL, why routing.Reason) error
	Unwant(c *routing.Client, u message.URL, why routing.Reason)
	// EndOthers ends other runtimes' subscriptions and routes to an address, before its owner gets it.
	EndOthers(ctx context.Context, given *state.Allocation)
}

// New makes the function of a domain's node.
func New(domain string, l limits.Limits, s *state.State, w *writes.Writes, r Router, log hclog.Logger) *Allocation {
	return &Allocation{domain: domain, limits: l, state: s, writes: w, router: r, log: log}
}

// Answer is the node's function domain://msg-node.<domain>/address-allocation.
func (a *Allocation) Answer(c *routing.Client, m message.Message) (message.Message, *refusal.Refusal) {
	switch m.Type {
	case message.Create:
		return a.allocate(c, m)
	case message.Delete:
		return a.deallocate(c, m)
	}
	return message.Message{}, refusal.New(message.CodeBadRequest, "address allocation: %s is not one of create, delete", m.Type)
}

func (a *Allocation) allocate(c *routing.Client, m message.Message) (message.Message, *refusal.Refusal) {
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
	if r := a.checkAllocation(c, scheme, number, body.Value.AllocationKey, body.Value.Identifier); r != nil {
		return message.Message{}, r
	}
	list, r := a.grantAll(c, scheme, number, body.Value.Identifier, body.Value.AllocationKey)
	if r != nil {
		return message.Message{}, r
	}
	for _, u := range list {
		if err := a.router.Want(c, u, routing.Allocated); err != nil {
			return message.Message{}, refusal.New(message.CodeUnavailable, "allocated, but not routed yet: %v; connect again", err)
		}
	}
	return m.Respond(message.CodeOK, map[string]any{"allocated": list}), nil
}

// grantAll gives c's runtime a wished address, or a block of new ones: all of it or nothing.
func (a *Allocation) grantAll(c *routing.Client, scheme string, number int, identifier, key string) ([]message.URL, *refusal.Refusal) {
	if r := a.writes.May(c, c.Runtime(), number); r != nil {
		return nil, r
	}
	now := time.Now().UTC()
	row := state.Allocation{Runtime: c.Runtime(), Key: key, Wished: identifier != "", Since: now, Seen: now.Truncate(24 * time.Hour), Source: a.state.SourceTerm(c.From)}
	var list []message.URL
	for len(list) < number {
		id := identifier
		if id == "" {
			id = uuid()
		}
		row.Address = message.URL(scheme + "://" + a.domain + "/" + id)
		err := a.Grant(c.Context(), row)
		if errors.Is(err, ErrConflict) && identifier == "" {
			continue
		}
		if err != nil {
			a.releaseAll(c.Context(), list, c.Runtime()) // the runtime does not learn of an incomplete block
			if errors.Is(err, ErrConflict) {
				return nil, refusal.New(message.CodeConflict, "%s belongs to another runtime; wish for another identifier", row.Address)
			}
			return nil, a.writes.Failed(err)
		}
		list = append(list, row.Address)
	}
	return list, nil
}

// Grant gives an address to a runtime, in one write. The error is [ErrConflict] if the address is another runtime's. The copy
// of the state never decides: a node's copy may be behind.
func (a *Allocation) Grant(ctx context.Context, row state.Allocation) error {
	ctx, cancel := a.state.Within(ctx)
	defer cancel()
	fresh := false
	err := a.state.Allocations.Change(ctx, state.AddressKey(row.Address), func(old *state.Allocation) (*state.Allocation, error) {
		if fresh = old == nil; old != nil && old.Runtime != row.Runtime {
			return nil, ErrConflict
		}
		given := row
		if old != nil { // an address that the node has made stays one, whoever wishes to have it again
			given.Key, given.Wished = cmp.Or(row.Key, old.Key), old.Wished
		}
		return &given, nil
	})
	if err == nil && fresh {
		a.router.EndOthers(ctx, &row)
	}
	return err
}

// releaseAll gives back what was just granted. If the state cannot be written, it takes no longer than one write: the retention
// time frees the rest.
func (a *Allocation) releaseAll(ctx context.Context, list []message.URL, runtime message.URL) {
	ctx, cancel := a.state.Within(ctx)
	defer cancel()
	for _, u := range list {
		if a.Release(ctx, u, runtime) != nil {
			return
		}
	}
}

// Release ends a runtime's right to an address, in one write. The error is [ErrConflict] if the address is another runtime's.
func (a *Allocation) Release(ctx context.Context, u, runtime message.URL) error {
	ctx, cancel := a.state.Within(ctx)
	defer cancel()
	return a.state.Allocations.Change(ctx, state.AddressKey(u), func(old *state.Allocation) (*state.Allocation, error) {
		if old != nil && old.Runtime != runtime {
			return nil, ErrConflict
		}
		return nil, nil
	})
}

// ErrConflict says that an address is another runtime's.
var ErrConflict = errors.New("belongs to another runtime")

func (a *Allocation) checkAllocation(c *routing.Client, scheme string, number int, key, identifier string) *refusal.Refusal {
	l := a.limits
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
		if err := message.CheckName(identifier); err != nil {
			return refusal.New(message.CodeBadRequest, "address allocation: %v", err)
		}
		if a.state.Owner(message.URL(scheme+"://"+a.domain+"/"+identifier)) == c.Runtime() {
			return nil // the runtime has the address already: it counts once
		}
	}
	if have := a.state.Allocations.Count("r:" + string(c.Runtime())); have+number > l.Addresses {
		return refusal.New(message.CodeTooMany, "address allocation: the runtime has %d addresses, at most %d are given out; free some", have, l.Addresses)
	}
	return nil
}

// deallocate frees addresses, or blocks by their key. Both fields may have addresses and keys, one or a list of
// them, nested or not; what the node does not know is ignored.
func (a *Allocation) deallocate(c *routing.Client, m message.Message) (message.Message, *refusal.Refusal) {
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
	gone, r := a.freed(c, which)
	if r != nil {
		return message.Message{}, r
	}
	if len(gone) > 0 {
		if r := a.writes.May(c, c.Runtime(), len(gone)); r != nil {
			return message.Message{}, r
		}
	}
	for _, u := range gone {
		err := a.Release(c.Context(), u, c.Runtime())
		if errors.Is(err, ErrConflict) { // freed meanwhile and given to another runtime, at another node
			return message.Message{}, refusal.New(message.CodeForbidden, "%s belongs to another runtime", u)
		}
		if r := a.writes.Failed(err); r != nil {
			return message.Message{}, r
		}
		a.router.Unwant(c, u, routing.Allocated)
	}
	return m.Respond(message.CodeOK, nil), nil
}

// freed lists the runtime's addresses that which names, by address or by allocation key. It refuses if an address is another
// runtime's.
func (a *Allocation) freed(c *routing.Client, which refjson.Names) ([]message.URL, *refusal.Refusal) {
	keys, listed := map[string]bool{}, map[message.URL]bool{}
	for _, name := range which {
		u, err := message.ParseURL(name)
		if err != nil {
			keys[name] = true
			continue
		}
		owner := a.state.Owner(u)
		if owner != "" && owner != c.Runtime() {
			return nil, refusal.New(message.CodeForbidden, "%s belongs to another runtime; nothing was freed", u)
		}
		if u = u.Canonical(); owner != "" && u == u.Base() {
			listed[u] = true
		}
	}
	if len(keys) > 0 {
		if r := c.Charge(a.state.Allocations.Count("r:"+string(c.Runtime())) / 128); r != nil {
			return nil, r
		}
		for _, row := range a.state.Allocations.Find("r:" + string(c.Runtime())) {
			if row.Key != "" && keys[row.Key] {
				listed[row.Address.Canonical()] = true
			}
		}
	}
	return slices.Collect(maps.Keys(listed)), nil
}

// uuid is a random identifier in the specification's form.
func uuid() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
