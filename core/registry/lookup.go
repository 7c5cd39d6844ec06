package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/message"
)

// lookups are the reads at Domain Registries that go on, and the refusals of the last second.
type lookups struct {
	mu      sync.Mutex
	flights map[message.URL]*flight
	misses  map[message.URL]miss
}

// flight is one read and whoever waits for it.
type flight struct {
	done   chan struct{} // closed when remote and err are set
	remote *remote
	err    error
}

type miss struct {
	until time.Time
	err   error
}

// find returns the runtime that the address lives at: from the cache, else from the Domain Registry.
func (r *Registry) find(ctx context.Context, to message.URL) (*remote, error) {
	key := addressKey(to)
	if a, ok := r.addresses.get(key); ok {
		return a.remote, nil
	}
	if key.Scheme() == message.SchemeConnection {
		return nil, r.refuse(message.CodeNotFound, "nobody here has heard of %s", key)
	}
	return r.lookUp(ctx, key, false)
}

// lookUp reads key at the Domain Registry of its domain, once for all who wait. Unless it is to be read anew, a read
// that has just ended is good enough.
func (r *Registry) lookUp(ctx context.Context, key message.URL, anew bool) (*remote, error) {
	l := &r.lookups
	l.mu.Lock()
	if m, ok := l.misses[key]; ok && !anew {
		if time.Now().Before(m.until) {
			l.mu.Unlock()
			return nil, m.err
		}
		delete(l.misses, key)
	}
	f := l.flights[key]
	if a, ok := r.addresses.get(key); ok && f == nil && !anew { // it was entered before its flight ended
		l.mu.Unlock()
		return a.remote, nil
	}
	if f == nil {
		if len(l.flights) >= r.opts.MaxLookups {
			l.mu.Unlock()
			return nil, r.refuse(message.CodeTooMany, "%d look-ups at Domain Registries go on already; try again", r.opts.MaxLookups)
		}
		f = &flight{done: make(chan struct{})}
		l.flights[key] = f
		r.spawn(func(ctx context.Context) { r.fly(ctx, key, f) })
	}
	l.mu.Unlock()
	select {
	case <-f.done:
		return f.remote, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-r.ctx.Done():
		return nil, ErrClosed
	}
}

// fly does one read.
func (r *Registry) fly(ctx context.Context, key message.URL, f *flight) {
	f.remote, f.err = r.read(ctx, key)
	l := &r.lookups
	l.mu.Lock()
	delete(l.flights, key)
	if f.err != nil {
		if len(l.misses) >= maxMisses {
			for old := range l.misses { // any: they live for a second
				delete(l.misses, old)
				break
			}
		}
		l.misses[key] = miss{until: time.Now().Add(r.opts.MissTime), err: f.err}
	}
	l.mu.Unlock()
	close(f.done)
}

// read asks the Domain Registry and enters what it says.
func (r *Registry) read(ctx context.Context, key message.URL) (*remote, error) {
	at := message.DomainRegistryAddress(key.NodeDomain())
	answer, err := r.request(ctx, message.Read, at, map[string]any{"resource": key}, r.opts.LookupTimeout)
	var no *message.ResponseError
	switch {
	case err == nil:
	case errors.As(err, &no) && no.Code == message.CodeNotFound:
		return nil, r.refuse(message.CodeNotFound, "nobody knows %s: the Domain Registry of %s has no entry", key, key.NodeDomain())
	case errors.As(err, &no) && no.Code == message.CodeTimeout && hasEntries(&answer, key):
		return nil, r.refuse(message.CodeTimeout, "%s is known, but is disconnected now", key)
	case ctx.Err() != nil:
		return nil, ErrClosed
	default:
		return nil, r.refuse(message.CodeUnavailable, "cannot look %s up: the Domain Registry of %s: %v", key, key.NodeDomain(), err)
	}
	result, err := answer.Result()
	if err != nil {
		return nil, r.refuse(message.CodeUnavailable, "the Domain Registry of %s: %v", key.NodeDomain(), err)
	}
	entries, err := parseEntries(key, result.Value)
	if err != nil {
		return nil, r.refuse(message.CodeUnavailable, "the Domain Registry of %s: %v", key.NodeDomain(), err)
	}
	return r.enter(ctx, key, entries)
}

func hasEntries(answer *message.Message, key message.URL) bool {
	result, err := answer.Result()
	if err != nil {
		return false
	}
	entries, err := parseEntries(key, result.Value)
	return err == nil && len(entries) > 0
}

// enter takes the first entry that is not disconnected into the cache.
func (r *Registry) enter(ctx context.Context, key message.URL, entries []entry) (*remote, error) {
	if len(entries) == 0 {
		return nil, r.refuse(message.CodeNotFound, "nobody knows %s: the Domain Registry of %s has no entry", key, key.NodeDomain())
	}
	var strange error
	for _, e := range entries {
		if e.Status == message.Disconnected.String() {
			continue
		}
		if err := r.opts.Owner(key, e.Runtime, true); err != nil {
			r.opts.Log.Error("entry of the Domain Registry refused", "name", key, "runtime", e.Runtime, "error", err)
			r.opts.Trace.Emit(trace.Event{Kind: trace.Untrusted, To: key, Peer: e.Runtime, Value: err.Error()})
			strange = err
			continue
		}
		if e.Runtime == r.opts.Runtime {
			return nil, r.refuse(message.CodeNotFound, "%s is registered for this runtime, but no application has it now", key)
		}
		var rem *remote
		err := r.ask(ctx, func() {
			var kept bool
			if rem, kept = r.meet(e.Runtime); kept {
				rem.readAt = time.Now()
				if len(e.P2PHandlers) > 0 {
					rem.handlers = e.P2PHandlers
				}
				r.learn(rem, key, registered)
			}
		})
		if err != nil {
			return nil, err
		}
		return rem, nil
	}
	if strange != nil {
		return nil, r.refuse(message.CodeForbidden, "%v", strange)
	}
	return nil, r.refuse(message.CodeTimeout, "%s is known, but is disconnected now", key)
}

// entry is what of a Domain Registry's entry the Registry uses.
type entry struct {
	Runtime     message.URL
	Status      string
	P2PHandlers []Handler
}

// parseEntries reads the value of a look-up of key: one entry, a list, or a map of them by address (specification,
// "Domain Registry"). Entries of other addresses and those that name no runtime are left out, and so are Handlers
// that are not components of the entry's runtime.
func parseEntries(key message.URL, value json.RawMessage) ([]entry, error) {
	var raws []json.RawMessage
	var fields map[string]json.RawMessage
	switch {
	case len(value) == 0 || string(value) == "null":
		return nil, nil
	case json.Unmarshal(value, &raws) == nil:
	case json.Unmarshal(value, &fields) != nil:
		return nil, fmt.Errorf("%w: an entry is neither an object nor a list", message.ErrMalformed)
	case fields["runtime"] != nil:
		raws = []json.RawMessage{value}
	default:
		for url, raw := range fields {
			if message.URL(url).Canonical() == key {
				raws = append(raws, raw)
			}
		}
	}
	var list []entry
	for _, raw := range raws[:min(len(raws), maxEntries)] {
		if e, ok := parseEntry(key, raw); ok {
			list = append(list, e)
		}
	}
	return list, nil
}

func parseEntry(key message.URL, raw json.RawMessage) (entry, bool) {
	var wire struct {
		URL          string    `json:"url"`
		HypertyID    string    `json:"hypertyID"`
		Runtime      string    `json:"runtime"`
		Status       string    `json:"status"`
		P2PHandler   string    `json:"p2pHandler"`
		P2PRequester string    `json:"p2pRequester"`
		P2PHandlers  []Handler `json:"p2pHandlers"`
	}
	if json.Unmarshal(raw, &wire) != nil {
		return entry{}, false
	}
	if wire.URL == "" {
		wire.URL = wire.HypertyID
	}
	runtime, err := message.ParseURL(wire.Runtime)
	if err != nil || runtime.Runtime() == "" || wire.URL != "" && message.URL(wire.URL).Canonical() != key {
		return entry{}, false
	}
	e := entry{Runtime: runtime.Runtime(), Status: wire.Status}
	if len(wire.P2PHandlers) == 0 && wire.P2PHandler != "" && wire.P2PRequester != "" {
		wire.P2PHandlers = []Handler{{Name: lastSegment(wire.P2PRequester), URL: message.URL(wire.P2PHandler)}}
	}
	for _, h := range wire.P2PHandlers[:min(len(wire.P2PHandlers), maxHandlers)] {
		url, err := message.ParseURL(string(h.URL))
		if err == nil && h.Name != "" && len(h.Name) <= 64 && url.Runtime() == e.Runtime {
			e.P2PHandlers = append(e.P2PHandlers, Handler{Name: h.Name, URL: url})
		}
	}
	return e, true
}

func lastSegment(u string) string {
	for i := len(u) - 1; i >= 0; i-- {
		if u[i] == '/' {
			return u[i+1:]
		}
	}
	return u
}

func isCode(err error, code int) bool {
	var no *message.ResponseError
	return errors.As(err, &no) && no.Code == code
}
