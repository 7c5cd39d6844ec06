package registry

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/protofly/protofly/core/registry/changes"
	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/core/registry/ownnode"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// Hyperty is an application's request to be registered.
type Hyperty struct {
	Name        string      // the wished identifier: hyperty://<domain>/<Name>; "": the node's choice
	Resumed     bool        // Name was not wished for: it is of an address that was made for this hyperty earlier
	Ephemeral   bool        // an address below this runtime's, of which nobody is told; see [Registry.RegisterHyperty]
	User        message.URL // "": user://anonymous
	Descriptor  message.URL // in the catalogue; "": made from the name
	Resources   []string
	DataSchemes []string
}

// Object is a data object to be registered.
type Object struct {
	URL       message.URL // allocated already; "": one is allocated
	Scheme    string      // where URL is ""
	Name      string
	Schema    message.URL
	Reporter  message.URL // the hyperty or stub of this runtime that reports it
	Resources []string
	Private   bool // neither in the Domain Registry nor in /registry/changes: Connection objects
	Wished    bool // URL is a wish: the node has to give it to this runtime's key first, as a hyperty's name
	Kept      bool // the object outlives this process, and its reporter may not be there yet: the address stays this runtime's
}

const anonymous message.URL = "user://anonymous"

// RegisterHyperty registers a hyperty: with an address of its own, in this Registry, at the Domain Registry and in
// /registry/changes. The error is a *message.ResponseError with code 409 where the wished name is another's.
//
// One that is ephemeral is in this Registry alone, and at an address below the runtime's own: <runtime>/hyperty/<Name>, where Name is
// made up if there is none. Its messages need no other proof than the session that they come in, so no other Registry and no
// Message Node has to know of it.
func (r *Registry) RegisterHyperty(ctx context.Context, h Hyperty) (message.URL, error) {
	if h.Ephemeral {
		return r.registerEphemeral(ctx, h)
	}
	url, granted, err := r.hypertyURL(ctx, h.Name)
	if err != nil {
		return "", fmt.Errorf("register hyperty %s: %w", h.Name, err)
	}
	l := &local{url: url, name: h.Name, named: h.Name != "" && !h.Resumed, user: h.User, since: time.Now()}
	l.ungranted.Store(!granted)
	if l.user == "" {
		l.user = anonymous
	}
	descriptor := h.Descriptor
	if descriptor == "" {
		descriptor = r.catalogue("hyperty", cmp.Or(h.Name, "Hyperty"))
	}
	l.entry = r.newEntry(url, h.Resources, h.DataSchemes)
	l.entry.Descriptor, l.entry.User = descriptor, l.user
	if err := r.register(ctx, l); err != nil {
		return "", fmt.Errorf("register hyperty %s: %w", url, err)
	}
	return url, nil
}

// registerEphemeral registers a hyperty in this Registry alone.
func (r *Registry) registerEphemeral(ctx context.Context, h Hyperty) (message.URL, error) {
	id := cmp.Or(h.Name, strings.ToLower(rand.Text()))
	if err := message.CheckName(id); err != nil {
		return "", fmt.Errorf("register hyperty: %w", err)
	}
	l := &local{url: message.URL(r.locals.ephemeral + id), name: h.Name, user: cmp.Or(h.User, anonymous), private: true, ephemeral: true, since: time.Now()}
	if err := r.register(ctx, l); err != nil {
		return "", fmt.Errorf("register hyperty %s: %w", l.url, err)
	}
	return l.url, nil
}

// hypertyURL is the address of a hyperty. While the node is away it is not granted yet; a name is used then only where it
// was granted before: somebody else may have any other.
func (r *Registry) hypertyURL(ctx context.Context, name string) (url message.URL, granted bool, err error) {
	if name == "" {
		return r.own.Address(ctx, message.SchemeHyperty)
	}
	if err := message.CheckName(name); err != nil {
		return "", false, err
	}
	url = message.URL(message.SchemeHyperty + "://" + r.opts.Domain + "/" + name)
	if _, taken := r.locals.get(url); taken {
		return "", false, r.refuse(message.CodeConflict, "%s is registered by another application of this runtime", url)
	}
	got, err := r.own.Name(ctx, message.SchemeHyperty, name, !r.own.Knows(url))
	switch {
	case errors.Is(err, ownnode.ErrAway):
		return url, false, nil
	case err == nil && got != url:
		err = fmt.Errorf("the node gave %s instead of %s", got, url)
	case err == nil:
		r.own.Granted(url)
	}
	return url, true, err
}

// RegisterObject registers a data object; its reporter must be registered.
func (r *Registry) RegisterObject(ctx context.Context, o Object) (message.URL, error) {
	url, granted := o.URL, true
	if !o.Kept && !r.locals.isReporter(o.Reporter) {
		return "", fmt.Errorf("register object: its reporter %q is not registered in this runtime", o.Reporter)
	}
	if url == "" {
		var err error
		if url, granted, err = r.own.Address(ctx, o.Scheme); err != nil {
			return "", fmt.Errorf("register object %s: %w", o.Name, err)
		}
	}
	if url.IsRuntime() || url.IsBackEnd() || directory.Key(url) != url {
		return "", fmt.Errorf("register object: %w", &message.URLError{Text: string(url), Reason: "no address of a data object"})
	}
	if o.Wished {
		if err := r.wish(ctx, url); err != nil {
			return "", fmt.Errorf("register object %s: %w", url, err)
		}
	}
	if o.Name == "" { // a Domain Registry insists on both
		o.Name = strings.TrimPrefix(url.Path(), "/")
	}
	if o.Schema == "" {
		o.Schema = r.catalogue("dataschema", url.Scheme())
	}
	l := &local{url: url, reporter: o.Reporter.Canonical(), name: o.Name, named: o.Wished || o.Kept, schema: o.Schema, private: o.Private, since: time.Now()}
	l.ungranted.Store(!granted)
	l.entry = r.newEntry(url, o.Resources, []string{url.Scheme()})
	l.entry.Name, l.entry.Schema, l.entry.Reporter = o.Name, o.Schema, o.Reporter
	if err := r.register(ctx, l); err != nil {
		return "", fmt.Errorf("register object %s: %w", url, err)
	}
	return url, nil
}

// wish has the node give this runtime the address that a reporter wishes for.
func (r *Registry) wish(ctx context.Context, url message.URL) error {
	if url.Domain() != r.opts.Domain {
		return r.refuse(message.CodeBadRequest, "%s is not of this runtime's domain, %s", url, r.opts.Domain)
	}
	if _, taken := r.locals.get(url); taken {
		return r.refuse(message.CodeConflict, "%s is registered by another component of this runtime", url)
	}
	got, err := r.own.Name(ctx, url.Scheme(), strings.TrimPrefix(url.Path(), "/"), !r.own.Knows(url))
	switch {
	case errors.Is(err, ownnode.ErrAway): // it was granted before
		return nil
	case err == nil && got != url:
		err = fmt.Errorf("the node gave %s instead of %s", got, url)
	case err == nil:
		r.own.Granted(url)
	}
	return err
}

func (r *Registry) catalogue(kind, name string) message.URL {
	return message.URL("hyperty-catalogue://catalogue." + r.opts.Domain + "/.well-known/" + kind + "/" + name)
}

func (r *Registry) newEntry(url message.URL, resources, schemes []string) localEntry {
	e := localEntry{Expires: int(r.opts.Own.Expires / time.Second), Status: message.Live.String()}
	e.URL, e.Runtime = url, r.opts.Runtime
	e.Resources, e.DataSchemes = append([]string{}, resources...), append([]string{}, schemes...)
	for _, h := range r.opts.Handlers {
		e.Handlers = append(e.Handlers, proof.Handler{Name: h.Name, Handler: h.URL, Requester: r.catalogue("protocolstub", h.Name)})
	}
	if len(e.Handlers) > 0 {
		e.P2PHandler, e.P2PRequester = e.Handlers[0].Handler, e.Handlers[0].Requester
	}
	return e
}

// register enters l first here, since a message may come as soon as others know the address, then at the Domain Registry.
func (r *Registry) register(ctx context.Context, l *local) error {
	var refused error
	if err := r.ask(ctx, func() {
		if _, taken := r.locals.get(l.url); taken {
			refused = r.refuse(message.CodeConflict, "%s is registered by another component of this runtime", l.url)
		} else if r.locals.known.Len() >= r.opts.Own.Max {
			refused = r.refuse(message.CodeTooMany, "this runtime has %d addresses already", r.opts.Own.Max)
		} else {
			r.directory.Forget(l.url.Canonical())
			r.locals.known.Set(l.url.Canonical(), l)
			r.moved(l.url)
		}
	}); err != nil {
		return err
	}
	if refused != nil || l.private {
		return refused
	}
	r.own.Owe(l.url, l, false)
	if err := r.createEntry(ctx, l); err != nil && !errors.Is(err, ownnode.ErrAway) { // while the node is away nodeStatus does it later
		r.loop.Do(func() { r.dropLocal(l) })
		return err
	}
	return r.ask(ctx, func() { r.publisher.Announce(changes.Add, l.url) })
}

// createEntry puts an entry into the Domain Registry.
func (r *Registry) createEntry(ctx context.Context, l *local) error {
	entry := l.entry
	entry.Proof = r.sign(l)
	err := r.own.CreateEntry(ctx, entry)
	if err == nil && entry.Proof != nil {
		l.signed.Store(entry.Proof.Issued)
	}
	return err
}

// sign makes the proof of this runtime's entry; nil where this runtime does not sign. The times of its proofs never go back
// while the runtime runs, even if its clock does.
func (r *Registry) sign(l *local) *proof.EntryProof {
	if r.opts.Trust.SignEntry == nil {
		return nil
	}
	now := time.Now().UnixMilli()
	for {
		last := r.issued.Load()
		now = max(now, last)
		if r.issued.CompareAndSwap(last, now) {
			break
		}
	}
	issued := time.UnixMilli(now)
	return r.opts.Trust.SignEntry(l.entry.Entry, issued, issued.Add(r.opts.Trust.ProofTime))
}

// dropLocal forgets a hyperty or data object of this runtime. It runs in the loop.
func (r *Registry) dropLocal(l *local) {
	r.locals.known.Delete(l.url.Canonical())
	r.directory.Changed()
	r.moved(l.url)
}

func (r *Registry) refreshPause() time.Duration {
	return time.Duration(float64(r.opts.Own.Expires) / 2.2)
}

// refresh renews this runtime's entries at the Domain Registry, again and again. It runs in the loop.
func (r *Registry) refresh() {
	r.refreshNow()
	r.loop.After(r.refreshPause(), r.refresh)
}

func (r *Registry) refreshNow() {
	list := r.locals.public()
	r.loop.Go(func(ctx context.Context) { r.eachEntry(ctx, list, r.keepAlive) })
}

func (r *Registry) keepAlive(ctx context.Context, l *local) error {
	if now, ok := r.locals.get(l.url); !ok || now != l {
		return nil
	}
	var renewed *proof.EntryProof // a keep-alive carries a new proof only when half of the old one's time is over
	if time.Now().UnixMilli()-l.signed.Load() >= r.opts.Trust.ProofTime.Milliseconds()/2 {
		renewed = r.sign(l)
	}
	err := r.own.KeepAlive(ctx, l.url, renewed)
	if err == nil && renewed != nil {
		l.signed.Store(renewed.Issued)
	}
	if !isCode(err, message.CodeNotFound) {
		return err
	}
	// The node has lost its state, the address with it; or has not heard of the address yet.
	if _, err := r.own.Name(ctx, l.url.Scheme(), strings.TrimPrefix(l.url.Path(), "/"), true); err != nil {
		return err
	}
	l.ungranted.Store(false)
	return r.createEntry(ctx, l)
}

// eachEntry calls f for each entry, up to 16 at a time.
func (r *Registry) eachEntry(ctx context.Context, list []*local, f func(context.Context, *local) error) {
	var wait sync.WaitGroup
	next := make(chan *local)
	for range min(len(list), 16) {
		wait.Go(func() {
			for l := range next {
				if err := f(ctx, l); err != nil && ctx.Err() == nil && !errors.Is(err, ownnode.ErrAway) {
					r.opts.Log.Warn("entry of the Domain Registry not updated", "url", l.url, "error", err)
				}
			}
		})
	}
	for _, l := range list {
		next <- l
	}
	close(next)
	wait.Wait()
}

// Allocate returns an address of the scheme that is this runtime's alone, from a block that the own domain's Message
// Node has given (specification, "Address allocation").
func (r *Registry) Allocate(ctx context.Context, scheme string) (message.URL, error) {
	return r.own.Allocate(ctx, scheme)
}
