package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// lookups are the reads at Domain Registries that go on, and the refusals of the last second.
type lookups struct {
	mu      sync.Mutex
	flights map[message.URL]*flight // Options.MaxLookups
	misses  map[message.URL]miss    // maxMisses
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
func (r *Registry) find(ctx context.Context, to message.URL, c cause) (*remote, error) {
	key := addressKey(to)
	if a, ok := r.addresses.get(key); ok && a.leads() {
		return a.remote, nil
	}
	if key.Scheme() == message.SchemeConnection {
		return nil, r.refuse(message.CodeNotFound, "nobody here has heard of %s", key)
	}
	// For whom it is has to be said here: the look-up itself is the Registry's own message. Why a node cannot be reached
	// the look-up says.
	if err := r.reserve(ctx, key.NodeDomain(), c); isCode(err, message.CodeTooMany) {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
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
	if a, ok := r.addresses.get(key); ok && a.leads() && f == nil && !anew { // it was entered before its flight ended
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
	case errors.As(err, &no) && no.Code == message.CodeTimeout && len(away(&answer, key)) > 0:
		return r.enter(ctx, key, away(&answer, key))
	case ctx.Err() != nil:
		return nil, ErrClosed
	case errors.As(err, &no) && no.Code == message.CodeTooMany: // it is there: nobody else's word counts instead
		return nil, r.refuse(message.CodeTooMany, "cannot look %s up now: the Domain Registry of %s: %v", key, key.NodeDomain(), err)
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

// away are the entries of an answer that says that all of them are disconnected.
func away(answer *message.Message, key message.URL) []entry {
	result, err := answer.Result()
	if err != nil {
		return nil
	}
	entries, _ := parseEntries(key, result.Value)
	for i := range entries {
		entries[i].Status = message.Disconnected.String()
	}
	return entries
}

// enter takes the entry that was signed last and is not disconnected into the cache. Those that are not to be believed
// are as if they were not there, but for the reason that is given.
func (r *Registry) enter(ctx context.Context, key message.URL, entries []entry) (*remote, error) {
	slices.SortStableFunc(entries, newestFirst)
	var strange, fault error
	disconnected, owner := false, message.URL("")
	for i := range entries {
		e := &entries[i]
		err := r.authentic(e)
		if err == nil && e.Status == message.Disconnected.String() {
			disconnected = true // whose word that is does not matter: nothing is sent there
			if owner == "" && r.fresh(key, e) == nil && r.opts.Owner(key, e.Runtime, false) == nil {
				owner = e.Runtime
			}
			continue
		}
		if err == nil {
			err = r.fresh(key, e)
		}
		if err != nil {
			fault = err
			r.complain(key, e, err)
			continue
		}
		if err := r.opts.Owner(key, e.Runtime, true); err != nil {
			strange = err
			r.complain(key, e, err)
			continue
		}
		r.note(key, e)
		if e.Runtime == r.opts.Runtime {
			return nil, r.refuse(message.CodeNotFound, "%s is registered for this runtime, but no application has it now", key)
		}
		return r.believe(ctx, key, e)
	}
	switch domain := key.NodeDomain(); {
	case strange != nil:
		return nil, r.refuse(message.CodeForbidden, "%v", strange)
	case disconnected:
		return nil, &disconnectedError{r.refuse(message.CodeTimeout, "%s is known, but is disconnected now", key), owner}
	case fault != nil:
		return nil, r.refuse(message.CodeNotFound, "nobody is known to be %s: the Domain Registry of %s has an entry that is %v", key, domain, fault)
	default:
		return nil, r.refuse(message.CodeNotFound, "nobody knows %s: the Domain Registry of %s has no entry", key, domain)
	}
}

// disconnectedError says that an address is known and disconnected. The newest entry is signed by owner.
type disconnectedError struct {
	error
	owner message.URL
}

func (e *disconnectedError) Unwrap() error { return e.error }

// disconnectedOwner is whose the address is of which err says that it is disconnected; "" where it says nothing of the kind.
func disconnectedOwner(err error) message.URL {
	var gone *disconnectedError
	if errors.As(err, &gone) {
		return gone.owner
	}
	return ""
}

// believe takes an entry into the cache.
func (r *Registry) believe(ctx context.Context, key message.URL, e *entry) (rem *remote, err error) {
	err = r.ask(ctx, func() {
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

// entry is what of a Domain Registry's entry the Registry uses.
type entry struct {
	Runtime     message.URL
	Status      string // the node's word
	P2PHandlers []Handler

	proof  *proof.EntryProof // nil: it is not signed
	signed proof.Entry       // what the proof must be of; Runtime and P2PHandlers are out of it
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
		Proof        any       `json:"proof"`
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
	if wire.Proof != nil {
		return parseSigned(key, raw, e)
	}
	if len(wire.P2PHandlers) == 0 && wire.P2PHandler != "" && wire.P2PRequester != "" {
		wire.P2PHandlers = []Handler{{Name: lastSegment(wire.P2PRequester), URL: message.URL(wire.P2PHandler)}}
	}
	for _, h := range wire.P2PHandlers[:min(len(wire.P2PHandlers), maxHandlers)] {
		e.offer(h.Name, h.URL)
	}
	return e, true
}

// parseSigned reads an entry that has a proof: nothing in it that the proof is not of counts, but the status. What is
// unreadable has an empty proof, of nothing.
func parseSigned(key message.URL, raw json.RawMessage, e entry) (entry, bool) {
	signed, p, err := proof.ParseEntry(raw)
	if err != nil || p == nil {
		e.proof = &proof.EntryProof{}
		return e, true
	}
	if signed.URL.Canonical() != key {
		return entry{}, false
	}
	e = entry{Runtime: signed.Runtime.Runtime(), Status: e.Status, proof: p, signed: signed}
	for _, h := range signed.Handlers[:min(len(signed.Handlers), maxHandlers)] {
		e.offer(h.Name, h.Handler)
	}
	return e, true
}

// offer enters a Handler, if it can be one of the entry's runtime.
func (e *entry) offer(name string, handler message.URL) {
	url, err := message.ParseURL(string(handler))
	if err == nil && name != "" && len(name) <= 64 && url.Runtime() == e.Runtime {
		e.P2PHandlers = append(e.P2PHandlers, Handler{Name: name, URL: url})
	}
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
