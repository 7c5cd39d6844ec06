package syncher

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// Object describes an object that is to be created.
type Object struct {
	Scheme    string          // of its address: "connection", "comm", …
	Schema    message.URL     // the catalogue's description of its data; may be empty
	Name      string          // for people
	Resources []string        // what it is about: "data", "chat", …
	Data      json.RawMessage // its first value, a JSON object; empty is {}
	Private   bool            // not in the Domain Registry, and only invited observers may subscribe
	URL       message.URL     // a wished address, of the runtime's domain; empty: the runtime gives one, or ID says it
	ID        string          // a wished identifier, in place of URL: the address is <Scheme>://<the runtime's domain>/<ID>
	Children  []string        // the names under which observers may make child objects; none: they may not
	// Grace is how long the object outlives its reporter: when the application has ended the hyperty, its process or its connection has
	// ended, or its runtime has. 0 is the default: a minute where the process or the connection has ended, nothing where the
	// application has ended the hyperty itself, and [Forever] for an object with Keep. Less than 0: nothing in any case.
	Grace time.Duration
	// Keep has the runtime keep the object in its data folder, so that it outlives the runtime too. Each change is written before
	// it counts, which takes as long as the disk takes. A runtime keeps 1,024 objects, of 64 MiB altogether; one without a data folder
	// refuses the object with 400.
	Keep bool
}

// Forever is a grace time that does not end.
const Forever = object.Forever

type createBody struct {
	Resume    bool            `json:"resume"`
	Resource  message.URL     `json:"resource,omitempty"`
	Schema    message.URL     `json:"schema,omitempty"`
	Scheme    string          `json:"scheme,omitempty"`
	Private   bool            `json:"private,omitempty"`
	Value     object.Metadata `json:"value"`
	Authorise []message.URL   `json:"authorise,omitempty"`
	Wish      bool            `json:"wish,omitempty"`
}

// Create makes an object, with this component as its reporter (specification, "Create"). It returns when the runtime
// has given the object its address and registered it. The error is a *message.ResponseError where the runtime
// refused: 409 where the wished address is another's.
//
// A wished address that an object of this component has still, since its application was killed or its runtime has restarted less than
// the grace time ago, gives that object back: with its value, its version and its observers, whatever Data says.
// [Reporter.Reclaimed] tells. For that the component has to have the same address as before: a hyperty with a name.
func (s *Syncher) Create(ctx context.Context, o Object) (*Reporter, error) {
	doc, err := object.Parse(o.Data)
	if err == nil && o.ID != "" {
		o.URL, err = s.wished(o)
	}
	if err != nil {
		return nil, fmt.Errorf("create object %q: %w", o.Name, err)
	}
	r := &Reporter{s: s, scheme: o.Scheme, private: o.Private, wished: o.URL != "", turn: make(chan struct{}, 1), doc: doc, invited: make(map[message.URL]struct{}),
		observers: make(map[message.URL]struct{})}
	r.turn <- struct{}{}
	now := object.Now()
	r.meta = object.Metadata{
		URL: o.URL, Reporter: s.owner, Runtime: s.run, Schema: o.Schema, Name: o.Name, Resources: o.Resources,
		Created: now, LastModified: now, Status: "live", Childrens: append([]string{}, o.Children...),
		Keep: o.Keep,
	}
	if o.Grace != 0 {
		r.meta.Grace = object.FormatGrace(o.Grace)
	}
	if err := r.meta.Check(); err != nil {
		return nil, fmt.Errorf("create object %q: %w", o.Name, err)
	}
	if _, taken := doc.Lookup(object.ChildrenAttribute); taken && len(o.Children) > 0 {
		return nil, fmt.Errorf("create object %q: %w: the member %s is for its child objects", o.Name, ErrData, object.ChildrenAttribute)
	}
	body := r.createBody(false)
	a, err := s.askOut(ctx, message.Create, body)
	if err == nil {
		_, err = message.ParseURL(string(a.Resource))
	}
	if err == nil && a.Reclaimed {
		err = r.reclaim(a)
	}
	if err != nil {
		return nil, fmt.Errorf("create object %q: %w", o.Name, err)
	}
	r.url, r.meta.URL = a.Resource, a.Resource
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	s.reporters[r.url.Canonical()] = r
	return r, nil
}

// wished is the address that an object's identifier stands for.
func (s *Syncher) wished(o Object) (message.URL, error) {
	scheme := o.Scheme
	if scheme == "" {
		scheme = "resource"
	}
	url := message.URL(scheme + "://" + s.run.Domain() + "/" + o.ID)
	if o.URL != "" && o.URL.Canonical() != url.Canonical() {
		return "", fmt.Errorf("the identifier %q and the address %s are not the same", o.ID, o.URL)
	}
	return message.ParseURL(string(url))
}

// reclaim takes the object that was there already. r is not shared yet.
func (r *Reporter) reclaim(a answer) error {
	meta, doc, err := object.ParseWhole(a.Value)
	if err != nil {
		return fmt.Errorf("the answer: %w", err)
	}
	meta.Away, meta.Grace, meta.Keep = "", r.meta.Grace, r.meta.Keep // as this life of the component wants it
	r.meta, r.doc, r.reclaimed = meta, doc, true
	for _, o := range a.Observers {
		r.observers[o.Canonical()] = struct{}{}
	}
	return nil
}

// Reclaimed tells whether the object was there already when it was created here: its value and observers are those of before.
func (r *Reporter) Reclaimed() bool { return r.reclaimed }

func (r *Reporter) createBody(resume bool) createBody {
	return createBody{Resume: resume, Resource: r.meta.URL, Schema: r.meta.Schema, Scheme: r.scheme, Private: r.private, Value: r.whole(),
		Wish: r.wished}
}

// whole is the metadata with the data in it. r.mu is held, or r is not shared yet.
func (r *Reporter) whole() object.Metadata {
	m := r.meta
	m.Data, m.Hash = r.doc.JSON(), r.doc.Hash()
	return m
}

// URL is the object's address.
func (r *Reporter) URL() message.URL { return r.url }

// Value is the object's data. The caller owns it.
func (r *Reporter) Value() json.RawMessage {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.doc.JSON()
}

// Version counts the changes so far.
func (r *Reporter) Version() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.meta.Version
}

// Allow lets f decide who may subscribe. Without it everybody may subscribe to a public object, and whoever was invited to a
// private one. f must be quick.
func (r *Reporter) Allow(f func(observer message.URL) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.allow = f
}

// Delete ends the object. Its observers get a last [Change] with Deleted set. Where the error is not the runtime's refusal the
// object may be deleted: Delete again says.
func (r *Reporter) Delete(ctx context.Context) error {
	if err := r.take(ctx); err != nil {
		return fmt.Errorf("delete %s: %w", r.url, err)
	}
	defer r.give()
	_, err := r.s.askOut(ctx, message.Delete, resourceBody{Resource: r.url})
	if codeOf(err) == message.CodeNotFound {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("delete %s: %w", r.url, err)
	}
	r.mu.Lock()
	r.gone = true
	r.mu.Unlock()
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if r.s.reporters[r.url.Canonical()] == r {
		delete(r.s.reporters, r.url.Canonical())
	}
	return nil
}

type resourceBody struct {
	Resource message.URL `json:"resource"`
}
