package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// Hyperty is an application's request to be registered.
type Hyperty struct {
	Name        string      // the wished identifier: hyperty://<domain>/<Name>; "": the node's choice
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

// local is a hyperty or data object of this runtime. It is immutable but for the time of its last proof.
type local struct {
	url       message.URL
	reporter  message.URL // "": a hyperty
	name      string
	user      message.URL
	schema    message.URL
	private   bool
	named     bool // by wish: the address stays this runtime's
	since     time.Time
	entry     localEntry   // without its proof
	signed    atomic.Int64 // when the proof at the Domain Registry was issued, Unix milliseconds
	ungranted atomic.Bool  // the node has not allocated the address yet: it was away
}

// localEntry is an entry as the Domain Registry takes it (specification, "Domain Registry").
type localEntry struct {
	proof.Entry
	Expires      int               `json:"expires"`
	Status       string            `json:"status"`
	P2PHandler   message.URL       `json:"p2pHandler,omitempty"`
	P2PRequester message.URL       `json:"p2pRequester,omitempty"`
	Proof        *proof.EntryProof `json:"proof,omitempty"`
}

const (
	anonymous     message.URL = "user://anonymous"
	registerTries             = 5
	registerPause             = 200 * time.Millisecond
)

// RegisterHyperty registers a hyperty: with an address of its own, in this Registry, at the Domain Registry and in
// /registry/changes. The error is a *message.ResponseError with code 409 where the wished name is another's.
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

// hypertyURL is the address of a hyperty. While the node is away it is not granted yet; a name is used then only where it
// was granted before: somebody else may have any other.
func (r *Registry) hypertyURL(ctx context.Context, name string) (url message.URL, granted bool, err error) {
	if name == "" {
		return r.address(ctx, message.SchemeHyperty)
	}
	url, err = message.ParseURL(message.SchemeHyperty + "://" + r.opts.Domain + "/" + name)
	if err != nil {
		return "", false, err
	}
	if url.Base() != url {
		return "", false, &message.URLError{Text: string(url), Reason: "a name has no /"}
	}
	if _, taken := r.locals.get(url.Canonical()); taken {
		return "", false, r.refuse(message.CodeConflict, "%s is registered by another application of this runtime", url)
	}
	ask := asking(r.awaitingNode)
	if r.attendance.knows(url) {
		ask = r.askNode
	}
	urls, err := r.allocate(ctx, ask, message.SchemeHyperty, 1, name)
	switch {
	case errors.Is(err, errNodeAway):
		return url, false, nil
	case err == nil && urls[0] != url:
		err = fmt.Errorf("the node gave %s instead of %s", urls[0], url)
	case err == nil:
		r.attendance.granted(url)
	}
	return url, true, err
}

// RegisterObject registers a data object; its reporter must be registered.
func (r *Registry) RegisterObject(ctx context.Context, o Object) (message.URL, error) {
	url, granted := o.URL, true
	if !r.isReporter(o.Reporter) {
		return "", fmt.Errorf("register object: its reporter %q is not registered in this runtime", o.Reporter)
	}
	if url == "" {
		var err error
		if url, granted, err = r.address(ctx, o.Scheme); err != nil {
			return "", fmt.Errorf("register object %s: %w", o.Name, err)
		}
	}
	if url.IsRuntime() || url.IsBackEnd() || addressKey(url) != url {
		return "", fmt.Errorf("register object: %w", &message.URLError{Text: string(url), Reason: "no address of a data object"})
	}
	if o.Name == "" { // a Domain Registry insists on both
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

func (r *Registry) isReporter(url message.URL) bool {
	if url.Within(r.opts.Runtime) {
		return true
	}
	l, ok := r.locals.get(url.Canonical())
	return ok && l.reporter == ""
}

func (r *Registry) catalogue(kind, name string) message.URL {
	return message.URL("hyperty-catalogue://catalogue." + r.opts.Domain + "/.well-known/" + kind + "/" + name)
}

func (r *Registry) newEntry(url message.URL, resources, schemes []string) localEntry {
	e := localEntry{Expires: int(r.opts.Expires / time.Second), Status: message.Live.String()}
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

// register enters l here first (a message may come as soon as others can know of it), then at the Domain Registry.
func (r *Registry) register(ctx context.Context, l *local) error {
	var refused error
	if err := r.ask(ctx, func() {
		if _, taken := r.locals.get(l.url.Canonical()); taken {
			refused = r.refuse(message.CodeConflict, "%s is registered by another component of this runtime", l.url)
		} else if r.locals.len() >= r.opts.MaxLocal {
			refused = r.refuse(message.CodeTooMany, "this runtime has %d addresses already", r.opts.MaxLocal)
		} else {
			r.forget(l.url.Canonical())
			r.locals.set(l.url.Canonical(), l)
		}
	}); err != nil {
		return err
	}
	if refused != nil || l.private {
		return refused
	}
	r.attendance.owe(l, false)
	if err := r.createEntry(ctx, l); err != nil && !errors.Is(err, errNodeAway) { // else when it is back: see nodeStatus
		r.do(func() { r.dropLocal(l) })
		return err
	}
	return r.ask(ctx, func() { r.announce(opAdd, l.url) })
}

// createEntry puts an entry into the Domain Registry; a node that is just starting again gets a few tries.
func (r *Registry) createEntry(ctx context.Context, l *local) error {
	at := message.DomainRegistryAddress(r.opts.Domain)
	entry := l.entry
	entry.Proof = r.sign(l)
	for try := 1; ; try++ {
		_, err := r.askNode(ctx, message.Create, at, map[string]any{"value": entry})
		again := isCode(err, message.CodeTimeout) || isCode(err, message.CodeError) || isCode(err, message.CodeUnavailable)
		if err == nil && entry.Proof != nil {
			l.signed.Store(entry.Proof.Issued)
		}
		if err == nil || !again || try == registerTries {
			return err
		}
		select {
		case <-time.After(jitter(registerPause)):
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}

// Unregister takes a hyperty out: of this Registry at once, of the Domain Registry as far as it can be reached. A name
// that was wished for stays this runtime's.
func (r *Registry) Unregister(ctx context.Context, url message.URL) error {
	return r.unregister(ctx, url)
}

// UnregisterObject takes a data object out.
func (r *Registry) UnregisterObject(ctx context.Context, url message.URL) error {
	return r.unregister(ctx, url)
}

func (r *Registry) unregister(ctx context.Context, url message.URL) error {
	var l *local
	if err := r.ask(ctx, func() {
		var ok bool
		if l, ok = r.locals.get(url.Canonical()); ok {
			r.dropLocal(l)
			if !l.private {
				r.announce(opRemove, l.url)
			}
		}
	}); err != nil {
		return err
	}
	if l == nil {
		return r.refuse(message.CodeNotFound, "%s is not registered in this runtime", url)
	}
	if r.opts.GivenUp != nil {
		r.opts.GivenUp(l.url)
	}
	err := r.farewell(ctx, l)
	if errors.Is(err, errNodeAway) {
		r.attendance.owe(l, true)
		err = nil
	}
	if err != nil {
		return fmt.Errorf("unregister %s: %w", url, err)
	}
	return nil
}

// dropLocal forgets a hyperty or data object of this runtime. It runs in the loop.
func (r *Registry) dropLocal(l *local) {
	r.locals.delete(l.url.Canonical())
	r.endings.Add(1)
}

// leave marks an entry of the Domain Registry as disconnected.
func (r *Registry) leave(ctx context.Context, l *local) error {
	body := map[string]any{"resource": l.url, "value": map[string]any{"status": message.Disconnected.String()}}
	_, err := r.askNode(ctx, message.Update, message.DomainRegistryAddress(r.opts.Domain), body)
	if isCode(err, message.CodeNotFound) {
		return nil
	}
	return err
}

// inDomainRegistry are the entries that this runtime keeps there. It runs in the loop.
func (r *Registry) inDomainRegistry() []*local {
	var list []*local
	r.locals.each(0, shardCount, func(in *item[*local]) bool {
		if l := in.value; !l.private {
			list = append(list, l)
		}
		return true
	})
	return list
}

func (r *Registry) refreshPause() time.Duration { return time.Duration(float64(r.opts.Expires) / 2.2) }

// refresh keeps this runtime's entries alive in the Domain Registry, again and again. It runs in the loop.
func (r *Registry) refresh() {
	r.refreshNow()
	r.later(r.refreshPause(), r.refresh)
}

func (r *Registry) refreshNow() {
	list := r.inDomainRegistry()
	r.spawn(func(ctx context.Context) { r.eachEntry(ctx, list, r.keepAlive) })
}

func (r *Registry) keepAlive(ctx context.Context, l *local) error {
	if now, ok := r.locals.get(l.url.Canonical()); !ok || now != l {
		return nil
	}
	value := map[string]any{"status": message.Live.String()}
	var renewed *proof.EntryProof // a keep-alive brings a new one only where the old one has lived half of its time
	if time.Now().UnixMilli()-l.signed.Load() >= r.opts.ProofTime.Milliseconds()/2 {
		renewed = r.sign(l)
	}
	if renewed != nil {
		value["proof"] = renewed
	}
	body := map[string]any{"resource": l.url, "value": value}
	_, err := r.request(ctx, message.Update, message.DomainRegistryAddress(r.opts.Domain), body, r.opts.LookupTimeout)
	if err == nil && renewed != nil {
		l.signed.Store(renewed.Issued)
	}
	if !isCode(err, message.CodeNotFound) {
		return err
	}
	if l.named || l.ungranted.Load() { // the node has lost its state: the name with it; or has not heard of the address yet
		if _, err := r.allocate(ctx, r.awaitingNode, l.url.Scheme(), 1, strings.TrimPrefix(l.url.Path(), "/")); err != nil {
			return err
		}
		l.ungranted.Store(false)
	}
	return r.createEntry(ctx, l)
}

// eachEntry does f for each entry, a few at a time.
func (r *Registry) eachEntry(ctx context.Context, list []*local, f func(context.Context, *local) error) {
	var wait sync.WaitGroup
	next := make(chan *local)
	for range min(len(list), 16) {
		wait.Go(func() {
			for l := range next {
				if err := f(ctx, l); err != nil && ctx.Err() == nil && !errors.Is(err, errNodeAway) {
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

// goodbye takes what is registered here out of the Domain Registry, as far as that can be done quickly.
func (r *Registry) goodbye(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, goodbyeTimeout)
	defer cancel()
	var list []*local
	if r.ask(ctx, func() { list = r.inDomainRegistry() }) != nil {
		return
	}
	var unused []message.URL
	r.pool.mu.Lock()
	for _, free := range r.pool.free {
		unused = append(unused, free...)
	}
	clear(r.pool.free)
	r.pool.mu.Unlock()
	for _, l := range list {
		if !l.named {
			unused = append(unused, l.url)
		}
	}
	r.eachEntry(ctx, list, r.leave)
	_ = r.release(ctx, unused[:min(len(unused), 4096)])
}
