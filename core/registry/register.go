package registry

import (
	"cmp"
	"context"
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
	Name        string      // the chosen identifier: hyperty://<domain>/<Name>; "": the node chooses
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
}

const anonymous message.URL = "user://anonymous"

// RegisterHyperty registers a hyperty with an address of its own, in this Registry, at the Domain Registry and in
// /registry/changes. The error is a *message.ResponseError with code 409 where the chosen name is another hyperty's.
func (r *Registry) RegisterHyperty(ctx context.Context, h Hyperty) (message.URL, error) {
	url, granted, err := r.hypertyURL(ctx, h.Name)
	if err != nil {
		return "", fmt.Errorf("register hyperty %s: %w", h.Name, err)
	}
	l := &local{url: url, name: h.Name, named: h.Name != "", user: h.User, since: time.Now()}
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

// hypertyURL returns the address of a hyperty; granted is false while the node is away. Then a name can only be used if the
// node has granted it before: another runtime may have any other.
func (r *Registry) hypertyURL(ctx context.Context, name string) (url message.URL, granted bool, err error) {
	if name == "" {
		return r.own.Address(ctx, message.SchemeHyperty)
	}
	url, err = message.ParseURL(message.SchemeHyperty + "://" + r.opts.Domain + "/" + name)
	if err != nil {
		return "", false, err
	}
	if url.Base() != url {
		return "", false, &message.URLError{Text: string(url), Reason: "a name has no /"}
	}
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
	if !r.locals.isReporter(o.Reporter) {
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
	if o.Name == "" { // a Domain Registry requires both
		o.Name = strings.TrimPrefix(url.Path(), "/")
	}
	if o.Schema == "" {
		o.Schema = r.catalogue("dataschema", url.Scheme())
	}
	l := &local{url: url, reporter: o.Reporter.Canonical(), name: o.Name, schema: o.Schema, private: o.Private, since: time.Now()}
	l.ungranted.Store(!granted)
	l.entry = r.newEntry(url, o.Resources, []string{url.Scheme()})
	l.entry.Name, l.entry.Schema, l.entry.Reporter = o.Name, o.Schema, o.Reporter
	if err := r.register(ctx, l); err != nil {
		return "", fmt.Errorf("register object %s: %w", url, err)
	}
	return url, nil
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

// Unregister removes a hyperty: from this Registry at once, from the Domain Registry if it can be reached. A name that the
// application has chosen stays this runtime's.
func (r *Registry) Unregister(ctx context.Context, url message.URL) error {
	return r.unregister(ctx, url)
}

// UnregisterObject removes a data object.
func (r *Registry) UnregisterObject(ctx context.Context, url message.URL) error {
	return r.unregister(ctx, url)
}

func (r *Registry) unregister(ctx context.Context, url message.URL) error {
	var l *local
	if err := r.ask(ctx, func() {
		var ok bool
		if l, ok = r.locals.get(url); ok {
			r.dropLocal(l)
			if !l.private {
				r.publisher.Announce(changes.Remove, l.url)
			}
		}
	}); err != nil {
		return err
	}
	if l == nil {
		return r.refuse(message.CodeNotFound, "%s is not registered in this runtime", url)
	}
	r.opts.Own.GivenUp(l.url)
	err := r.release(ctx, l)
	if errors.Is(err, ownnode.ErrAway) {
		r.own.Owe(l.url, l, true)
		err = nil
	}
	if err != nil {
		return fmt.Errorf("unregister %s: %w", url, err)
	}
	return nil
}

// dropLocal forgets a hyperty or data object of this runtime. It runs in the loop.
func (r *Registry) dropLocal(l *local) {
	r.locals.known.Delete(l.url.Canonical())
	r.directory.Changed()
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
	if l.named || l.ungranted.Load() { // the node has lost its state, names included; or it has not heard of the address yet
		if _, err := r.own.Name(ctx, l.url.Scheme(), strings.TrimPrefix(l.url.Path(), "/"), true); err != nil {
			return err
		}
		l.ungranted.Store(false)
	}
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

// releaseAll removes what is registered here from the Domain Registry, as far as releaseTimeout allows.
func (r *Registry) releaseAll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, releaseTimeout)
	defer cancel()
	var list []*local
	if r.ask(ctx, func() { list = r.locals.public() }) != nil {
		return
	}
	unused := r.own.Unused()
	for _, l := range list {
		if !l.named {
			unused = append(unused, l.url)
		}
	}
	r.eachEntry(ctx, list, func(ctx context.Context, l *local) error { return r.own.LeaveEntry(ctx, l.url) })
	_ = r.own.Release(ctx, unused[:min(len(unused), 4096)])
}

// releaseOwed tells the node, which is back, what was unregistered while it was away.
func (r *Registry) releaseOwed() {
	list := r.own.Debts()
	if len(list) == 0 {
		return
	}
	r.loop.Go(func(ctx context.Context) {
		r.eachEntry(ctx, list, func(ctx context.Context, l *local) error {
			if _, again := r.locals.get(l.url); again {
				return nil
			}
			return r.release(ctx, l)
		})
	})
}

// release tells the node that l is registered no more.
func (r *Registry) release(ctx context.Context, l *local) error {
	var errs error
	if !l.private {
		errs = r.own.LeaveEntry(ctx, l.url)
	}
	if !l.named && !l.ungranted.Load() && !errors.Is(errs, ownnode.ErrAway) {
		errs = errors.Join(errs, r.own.Release(ctx, []message.URL{l.url}))
	}
	return errs
}

// Allocate returns an address of the scheme that only this runtime has, from a block that the Message Node of its domain has
// given (specification, "Address allocation").
func (r *Registry) Allocate(ctx context.Context, scheme string) (message.URL, error) {
	return r.own.Allocate(ctx, scheme)
}
