package registry

import (
	"context"

	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/core/registry/nodes"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// Hyperty tells whether u is a hyperty that is registered in this runtime.
func (r *Registry) Hyperty(u message.URL) bool {
	l, ok := r.locals.get(u)
	return ok && l.reporter == ""
}

// Presence is whether somebody is at an address: in this runtime, or as the Domain Registry of its domain says, which is asked. What that
// says is believed as it is for messages. State is [hyperty.Unknown] where it cannot be asked, unless a live P2P connection leads to the
// address.
func (r *Registry) Presence(ctx context.Context, u message.URL) hyperty.Presence {
	key := u.Canonical()
	if !key.IsRuntime() {
		key = directory.Key(u)
	}
	if l, ok := r.locals.get(key); ok {
		return hyperty.Presence{State: hyperty.Registered, Since: l.since, Runtime: r.opts.Runtime}
	}
	if key.IsRuntime() {
		return hyperty.Presence{State: hyperty.Gone}
	}
	err := r.reserve(ctx, key.NodeDomain(), nodes.Ours)
	if err == nil {
		var p hyperty.Presence
		if p, err = r.presence(ctx, key); err == nil {
			return p
		}
	}
	if a, ok := r.directory.Find(key); ok && a.Runtime.Way().Live() {
		return hyperty.Presence{State: hyperty.Registered, Runtime: a.Runtime.URL()}
	}
	return hyperty.Presence{State: hyperty.Unknown, Why: message.Reason(err)}
}

// presence asks the Domain Registry.
func (r *Registry) presence(ctx context.Context, key message.URL) (hyperty.Presence, error) {
	list, err := r.fetch(ctx, key)
	if isCode(err, message.CodeNotFound) {
		return hyperty.Presence{State: hyperty.Gone}, nil
	}
	if err != nil {
		return hyperty.Presence{}, err
	}
	c := r.choose(key, list)
	switch {
	case c.Entry != nil && c.Entry.Runtime == r.opts.Runtime: // no application has it now
		return hyperty.Presence{State: hyperty.Away}, nil
	case c.Entry != nil:
		if _, err := r.believe(ctx, key, c.Entry); err != nil {
			return hyperty.Presence{}, err
		}
		return hyperty.Presence{State: hyperty.Registered, Runtime: c.Entry.Runtime, Since: c.Entry.Started}, nil
	case c.Strange != nil:
		return hyperty.Presence{State: hyperty.Gone, Why: c.Strange.Error()}, nil
	case c.Disconnected:
		return hyperty.Presence{State: hyperty.Away, Since: c.Since}, nil
	case c.Fault != nil:
		return hyperty.Presence{State: hyperty.Gone, Why: c.Fault.Error()}, nil
	default:
		return hyperty.Presence{State: hyperty.Gone}, nil
	}
}
