package registry

import (
	"context"
	"errors"
	"time"

	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/core/registry/entries"
	"github.com/protofly/protofly/core/registry/lookups"
	"github.com/protofly/protofly/core/registry/nodes"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/message"
)

// find returns the runtime that the address lives at: from the directory, else from the Domain Registry. With try the error
// is [message.ErrWouldBlock] where the Domain Registry would have to be asked.
func (r *Registry) find(ctx context.Context, to message.URL, c nodes.Cause, try bool) (*directory.Runtime, error) {
	key := directory.Key(to)
	if a, ok := r.directory.Find(key); ok && a.Leads() {
		return a.Runtime, nil
	}
	if key.Scheme() == message.SchemeConnection {
		return nil, r.refuse(message.CodeNotFound, "nobody here has heard of %s", key)
	}
	if try {
		return nil, message.ErrWouldBlock
	}
	// The look-up is the Registry's own message, so the cause is given here. If the node cannot be reached, the look-up
	// reports why.
	if err := r.reserve(ctx, key.NodeDomain(), c); isCode(err, message.CodeTooMany) {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return r.lookUp(ctx, key, false)
}

// lookUp reads key at the Domain Registry of its domain, once for all callers that wait. With anew it reads even if a read
// has just ended.
func (r *Registry) lookUp(ctx context.Context, key message.URL, anew bool) (*directory.Runtime, error) {
	f, begins, rt, err := r.lookups.Begin(time.Now(), key, anew, func() (*directory.Runtime, bool) {
		a, ok := r.directory.Find(key)
		return a.Runtime, ok && a.Leads()
	})
	switch {
	case errors.Is(err, lookups.ErrTooMany):
		return nil, r.refuse(message.CodeTooMany, "%d look-ups at Domain Registries go on already; try again", r.opts.Lookups.Max)
	case f == nil:
		return rt, err
	case begins:
		r.loop.Go(func(ctx context.Context) {
			rt, err := r.read(ctx, key)
			r.lookups.End(time.Now(), key, f, rt, err)
		})
	}
	select {
	case <-f.Done():
		return f.Result()
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-r.loop.Context().Done():
		return nil, ErrClosed
	}
}

// read asks the Domain Registry and enters its answer.
func (r *Registry) read(ctx context.Context, key message.URL) (*directory.Runtime, error) {
	list, err := r.fetch(ctx, key)
	if err != nil {
		return nil, err
	}
	return r.enter(ctx, key, list)
}

// fetch asks the Domain Registry for the entries of key.
func (r *Registry) fetch(ctx context.Context, key message.URL) ([]entries.Entry, error) {
	at := message.DomainRegistryAddress(key.NodeDomain())
	answer, err := r.call.request(ctx, message.Read, at, map[string]any{"resource": key})
	var no *message.ResponseError
	switch {
	case err == nil:
	case errors.As(err, &no) && no.Code == message.CodeNotFound:
		return nil, r.refuse(message.CodeNotFound, "nobody knows %s: the Domain Registry of %s has no entry", key, key.NodeDomain())
	case errors.As(err, &no) && no.Code == message.CodeTimeout && len(entries.Away(&answer, key)) > 0:
		return entries.Away(&answer, key), nil
	case ctx.Err() != nil:
		return nil, ErrClosed
	case errors.As(err, &no) && no.Code == message.CodeTooMany: // the Domain Registry is there: no other runtime's claim counts instead
		return nil, r.refuse(message.CodeTooMany, "cannot look %s up now: the Domain Registry of %s: %v", key, key.NodeDomain(), err)
	default:
		return nil, r.refuse(message.CodeUnavailable, "cannot look %s up: the Domain Registry of %s: %v", key, key.NodeDomain(), err)
	}
	result, err := answer.Result()
	if err != nil {
		return nil, r.refuse(message.CodeUnavailable, "the Domain Registry of %s: %v", key.NodeDomain(), err)
	}
	list, err := entries.Parse(key, result.Value)
	if err != nil {
		return nil, r.refuse(message.CodeUnavailable, "the Domain Registry of %s: %v", key.NodeDomain(), err)
	}
	return list, nil
}

// choose returns what is believed of the entries of key, and reports their faults.
func (r *Registry) choose(key message.URL, list []entries.Entry) entries.Choice {
	c := r.beliefs.Choose(time.Now(), key, list)
	for _, what := range c.Complaints {
		r.opts.Log.Error("entry of the Domain Registry refused", "name", key, "runtime", what.Runtime, "error", what.Err)
		r.opts.Trace.Emit(trace.Event{Kind: trace.Untrusted, To: key, Peer: what.Runtime, Value: what.Err.Error()})
	}
	return c
}

// enter takes the entry that is believed into the directory; if there is none, the error says why.
func (r *Registry) enter(ctx context.Context, key message.URL, list []entries.Entry) (*directory.Runtime, error) {
	c := r.choose(key, list)
	switch domain := key.NodeDomain(); {
	case c.Entry != nil && c.Entry.Runtime == r.opts.Runtime:
		return nil, r.refuse(message.CodeNotFound, "%s is registered for this runtime, but no application has it now", key)
	case c.Entry != nil:
		return r.believe(ctx, key, c.Entry)
	case c.Strange != nil:
		return nil, r.refuse(message.CodeForbidden, "%v", c.Strange)
	case c.Disconnected && c.Owner == r.opts.Runtime: // as while the entry is live still: it is no other runtime that is away
		return nil, &disconnectedError{r.refuse(message.CodeNotFound, "%s is this runtime's, but no application has it now", key), c.Owner}
	case c.Released:
		return nil, &disconnectedError{r.refuse(message.CodeNotFound, "nobody has %s any more", key), c.Owner}
	case c.Disconnected:
		return nil, &disconnectedError{r.refuse(message.CodeTimeout, "%s is known, but is disconnected now", key), c.Owner}
	case c.Fault != nil:
		return nil, r.refuse(message.CodeNotFound, "nobody is known to be %s: the Domain Registry of %s has an entry that is %v", key, domain, c.Fault)
	default:
		return nil, r.refuse(message.CodeNotFound, "nobody knows %s: the Domain Registry of %s has no entry", key, domain)
	}
}

// believe takes an entry into the directory.
func (r *Registry) believe(ctx context.Context, key message.URL, e *entries.Entry) (rt *directory.Runtime, err error) {
	err = r.ask(ctx, func() {
		var kept bool
		if rt, kept = r.directory.Meet(e.Runtime); kept {
			r.peers.Offered(time.Now(), e.Runtime, e.P2PHandlers)
			r.learn(rt, key, directory.Registered)
		}
	})
	if err != nil {
		return nil, err
	}
	return rt, nil
}

// disconnectedError says that an address is known and disconnected. The newest entry is signed by owner.
type disconnectedError struct {
	error
	owner message.URL
}

func (e *disconnectedError) Unwrap() error { return e.error }

// disconnectedOwner returns the owner in a *disconnectedError; "" for any other error.
func disconnectedOwner(err error) message.URL {
	var gone *disconnectedError
	if errors.As(err, &gone) {
		return gone.owner
	}
	return ""
}

// isUnknown tells whether a Domain Registry has no entry of an address: not even one that says whose it was.
func isUnknown(err error) bool {
	return isCode(err, message.CodeNotFound) && disconnectedOwner(err) == ""
}

// Where returns the runtime that an address belongs to, as far as the Registry knows or the address's Domain Registry says.
// It starts no set-up. The error is a *message.ResponseError, or ctx's.
func (r *Registry) Where(ctx context.Context, u message.URL) (message.URL, error) {
	switch {
	case r.locals.has(u):
		return r.opts.Runtime, nil
	case u.IsRuntime():
		return u.Runtime(), nil
	case u.IsBackEnd() || u.NodeDomain() == "":
		return "", r.refuse(message.CodeNotFound, "%s is at no runtime", u)
	}
	rt, err := r.find(ctx, u, nodes.Theirs, false)
	if err != nil {
		return "", err
	}
	return rt.URL(), nil
}
