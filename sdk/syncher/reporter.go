package syncher

import (
	"context"
	"encoding/json"
	"fmt"

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
	URL       message.URL     // a wished address; empty: the runtime gives one
	Children  []string        // the names under which observers may make child objects; none: they may not
}

type createBody struct {
	Resume    bool            `json:"resume"`
	Resource  message.URL     `json:"resource,omitempty"`
	Schema    message.URL     `json:"schema,omitempty"`
	Scheme    string          `json:"scheme,omitempty"`
	Private   bool            `json:"private,omitempty"`
	Value     object.Metadata `json:"value"`
	Authorise []message.URL   `json:"authorise,omitempty"`
}

// Create makes an object, with this component as its reporter (specification, "Create"). It returns when the runtime
// has given the object its address and registered it. The error is a *message.ResponseError where the runtime
// refused.
func (s *Syncher) Create(ctx context.Context, o Object) (*Reporter, error) {
	doc, err := object.Parse(o.Data)
	if err != nil {
		return nil, fmt.Errorf("create object %q: %w", o.Name, err)
	}
	r := &Reporter{s: s, scheme: o.Scheme, private: o.Private, turn: make(chan struct{}, 1), doc: doc, invited: make(map[message.URL]struct{})}
	r.turn <- struct{}{}
	now := object.Now()
	r.meta = object.Metadata{
		URL: o.URL, Reporter: s.owner, Runtime: s.run, Schema: o.Schema, Name: o.Name, Resources: o.Resources,
		Created: now, LastModified: now, Status: "live", Childrens: append([]string{}, o.Children...),
	}
	if err := r.meta.Check(); err != nil {
		return nil, fmt.Errorf("create object %q: %w", o.Name, err)
	}
	a, err := s.ask(ctx, message.Create, r.createBody(false))
	if err == nil {
		_, err = message.ParseURL(string(a.Resource))
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

func (r *Reporter) createBody(resume bool) createBody {
	return createBody{Resume: resume, Resource: r.meta.URL, Schema: r.meta.Schema, Scheme: r.scheme, Private: r.private, Value: r.whole()}
}

// whole is the metadata with the data in it. r.mu is held, or r is not shared yet.
func (r *Reporter) whole() object.Metadata {
	m := r.meta
	m.Data = r.doc.JSON()
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

// Set sets an attribute, named by its path, to value's JSON form; it makes what is missing on the way. One reporter
// makes one change at a time; Set returns when the runtime has it.
func (r *Reporter) Set(ctx context.Context, attribute string, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("set %.80q of %s: %w", attribute, r.url, err)
	}
	return r.change(ctx, "set", attribute, func(d object.Document) object.Change { return d.Replacement(attribute, raw) })
}

// Add appends value to the array that attribute names (specification, "Trickle"); it makes one where there is none.
func (r *Reporter) Add(ctx context.Context, attribute string, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("add to %.80q of %s: %w", attribute, r.url, err)
	}
	return r.change(ctx, "add to", attribute, func(d object.Document) object.Change { return d.Addition(attribute, raw) })
}

// Remove removes an attribute, or an element of an array. It is no error where there is none of that name.
func (r *Reporter) Remove(ctx context.Context, attribute string) error {
	return r.change(ctx, "remove", attribute, func(d object.Document) object.Change { return d.Removal(attribute) })
}

// take waits for the turn to change the object; give ends the turn.
func (r *Reporter) take(ctx context.Context) error {
	select {
	case <-r.turn:
		return nil
	case <-r.s.ctx.Done():
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Reporter) give() { r.turn <- struct{}{} }

func (r *Reporter) change(ctx context.Context, verb, attribute string, f func(object.Document) object.Change) error {
	if err := r.publish(ctx, f); err != nil {
		return fmt.Errorf("%s %.80q of %s: %w", verb, attribute, r.url, err)
	}
	return nil
}

// publish makes a change: it tries the change on a copy, waits until the runtime has taken it, and keeps it.
func (r *Reporter) publish(ctx context.Context, f func(object.Document) object.Change) error {
	if err := r.take(ctx); err != nil {
		return err
	}
	defer r.give()
	r.mu.Lock()
	doc, meta, unsure, gone := r.doc, r.meta, r.unsure, r.gone
	r.mu.Unlock()
	if gone {
		return &message.ResponseError{Code: message.CodeNotFound, Description: "the object is deleted", From: r.s.sm}
	}
	c := f(doc)
	next, err := doc.Apply(c)
	if err != nil {
		return err
	}
	meta.Version++
	meta.LastModified = object.Now()
	update := object.NewUpdate(c, meta.Version, meta.LastModified)
	if unsure {
		update = object.WholeUpdate(meta, next)
	}
	update.Resource = r.url
	_, err = r.s.ask(ctx, message.Update, update)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.doc, r.meta, r.unsure = next, meta, false
		r.packer.Changed(r.url, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.doc = r.packer.Packed(r.doc)
		})
		return nil
	}
	if code := codeOf(err); code == 0 || code == message.CodeTimeout || code == message.CodeConflict {
		r.unsure = true // the runtime may have it: this version is not used again
		r.meta.Version++
	}
	return err
}

// Delete ends the object. Its observers get a last [Change] with Deleted set.
func (r *Reporter) Delete(ctx context.Context) error {
	if err := r.take(ctx); err != nil {
		return fmt.Errorf("delete %s: %w", r.url, err)
	}
	defer r.give()
	_, err := r.s.ask(ctx, message.Delete, resourceBody{Resource: r.url})
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
