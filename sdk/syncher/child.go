package syncher

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// Child is the id of the child object that the change is about; "" where it is about another attribute. A child that
// was made is set as a whole: its value is a [Child].
func (c Change) Child() string { return object.ChildOf(c.Attribute) }

// childBody is the body of a request about a child object (specification, "Children"), and of its copy that is forwarded to the
// reporter.
type childBody struct {
	Name      string          `json:"name,omitempty"`
	Resource  string          `json:"resource"` // its id
	Attribute string          `json:"attribute,omitempty"`
	Value     json.RawMessage `json:"value,omitempty"`
}

func newChildID(owner message.URL) string {
	return string(owner) + "#" + strings.ToLower(rand.Text()[:16])
}

// AddChild makes a child object under one of the names that the object has for children, and returns its id. It is
// this component's: nobody else changes it, but the object's reporter may remove it. It returns when the reporter has
// published it. Where many are made at once it waits for its turn, until ctx ends. The error is a *message.ResponseError: 403 where
// this component does not observe the object (any more), 404 where it has no children of that name, 413 where it is full. With any
// other error it is in doubt whether the child was made: [Observer.Children] says, by the id, which is returned in any case.
func (o *Observer) AddChild(ctx context.Context, name string, value any) (string, error) {
	id := newChildID(o.s.owner)
	return id, o.child(ctx, message.Create, name, childBody{Resource: id}, value)
}

// SetChild sets an attribute of a child's value, all of it where attribute is "".
func (o *Observer) SetChild(ctx context.Context, id, attribute string, value any) error {
	return o.child(ctx, message.Update, o.nameOf(id), childBody{Resource: id, Attribute: attribute}, value)
}

// RemoveChild removes a child object.
func (o *Observer) RemoveChild(ctx context.Context, id string) error {
	return o.child(ctx, message.Delete, o.nameOf(id), childBody{Resource: id}, nil)
}

// Children is the child objects as far as they are known here, by their ids.
func (o *Observer) Children() map[string]Child {
	o.mu.Lock()
	doc := o.doc
	o.mu.Unlock()
	return childrenOf(doc)
}

func (o *Observer) nameOf(id string) string {
	o.mu.Lock()
	doc := o.doc
	o.mu.Unlock()
	c, _ := doc.Child(id)
	return c.Name
}

func (o *Observer) child(ctx context.Context, t message.Type, name string, body childBody, value any) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s child %.80q of %s: %w", t, name, o.url, err)
		}
	}()
	if value != nil {
		if body.Value, err = json.Marshal(value); err != nil {
			return err
		}
	}
	select {
	case o.children <- struct{}{}:
		defer func() { <-o.children }()
	case <-o.s.ctx.Done():
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	return o.askChild(ctx, message.Message{Type: t, From: o.s.owner, To: object.Children(o.url, name), Body: message.Encode(body)})
}

// askChild asks the reporter's side, again and again while that has no place for one more request.
func (o *Observer) askChild(ctx context.Context, m message.Message) error {
	pauses := backoff.Backoff{Min: 50 * time.Millisecond, Max: 2 * time.Second}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		answer, err := o.s.bus.Request(ctx, m)
		if err == nil {
			_, err = answer.OK()
		}
		if codeOf(err) != message.CodeTooMany || !pauses.Wait(ctx) {
			return err
		}
	}
}

// AddChild makes a child object of the reporter's own; see [Observer.AddChild].
func (r *Reporter) AddChild(ctx context.Context, name string, value any) (string, error) {
	id := newChildID(r.s.owner)
	return id, r.ownChild(ctx, message.Create, childBody{Name: name, Resource: id}, value)
}

// SetChild sets an attribute of a child of the reporter's own; see [Observer.SetChild].
func (r *Reporter) SetChild(ctx context.Context, id, attribute string, value any) error {
	return r.ownChild(ctx, message.Update, childBody{Resource: id, Attribute: attribute}, value)
}

// RemoveChild removes a child object, whoever made it.
func (r *Reporter) RemoveChild(ctx context.Context, id string) error {
	return r.ownChild(ctx, message.Delete, childBody{Resource: id}, nil)
}

// Children is the child objects, by their ids.
func (r *Reporter) Children() map[string]Child {
	r.mu.Lock()
	doc := r.doc
	r.mu.Unlock()
	return childrenOf(doc)
}

// OnChild makes the reporter call f after observers have made, changed or removed a child object. f must be quick.
func (r *Reporter) OnChild(f func(ChildChange)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.onChild = f
}

func (r *Reporter) ownChild(ctx context.Context, t message.Type, body childBody, value any) (err error) {
	if value != nil {
		body.Value, err = json.Marshal(value)
	}
	if err == nil {
		_, err = r.changeChild(ctx, t, r.s.owner, body)
	}
	if err != nil {
		return fmt.Errorf("%s child %.80q of %s: %w", t, body.Name, r.url, err)
	}
	return nil
}

// changeChild makes, changes or removes a child object in the name of a component, and returns it.
func (r *Reporter) changeChild(ctx context.Context, t message.Type, who message.URL, body childBody) (child object.Child, err error) {
	err = r.publish(ctx, func(d object.Document) (c object.Change, err error) {
		c, child, err = r.childChange(d, t, who, body)
		return c, err
	})
	return child, err
}

// childChange checks a request about a child, and is the change of the object that it means.
func (r *Reporter) childChange(d object.Document, t message.Type, who message.URL, body childBody) (c object.Change, child object.Child, err error) {
	refuse := func(code int, format string, args ...any) error {
		return &message.ResponseError{Code: code, From: r.url, Description: fmt.Sprintf(format, args...)}
	}
	child, known := d.Child(body.Resource)
	at := object.ChildrenAttribute + "." + body.Resource
	value := body.Value
	if len(value) == 0 {
		value = json.RawMessage("null")
	}
	switch {
	case t == message.Create:
		r.mu.Lock()
		names := r.meta.Childrens
		r.mu.Unlock()
		switch err := object.CheckChildID(body.Resource, who); {
		case err != nil:
			return c, child, refuse(message.CodeBadRequest, "%v", err)
		case !slices.Contains(names, body.Name):
			return c, child, refuse(message.CodeNotFound, "%s has no children %.80q", r.url, body.Name)
		case known:
			return c, child, refuse(message.CodeConflict, "%s exists already", body.Resource)
		}
		child = object.Child{Name: body.Name, Reporter: who, Created: object.Now(), Value: value}
		return d.Replacement(at, message.Encode(child)), child, nil
	case !known:
		return c, child, refuse(message.CodeNotFound, "%s has no child %.200q", r.url, body.Resource)
	case child.Reporter.Canonical() != who.Canonical() && (t != message.Delete || who != r.s.owner):
		return c, child, refuse(message.CodeForbidden, "only %s changes %.200q", child.Reporter, body.Resource)
	case t == message.Delete:
		return d.Removal(at), child, nil
	}
	return d.Replacement(object.ChildAttribute(body.Resource, body.Attribute), value), child, nil
}

// observersChild serves an observer's request about a child object, which the sync manager has forwarded.
func (s *Syncher) observersChild(m message.Message, r *Reporter, t message.Type, who message.URL, body childBody) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if s.children >= maxChildren {
		s.tasks.Go(func() { s.respond(s.ctx, m.Refuse(message.CodeTooMany, "too many changes of children at once")) })
		return
	}
	s.children++
	s.tasks.Go(func() {
		defer func() {
			s.mu.Lock()
			s.children--
			s.mu.Unlock()
		}()
		child, err := r.changeChild(s.ctx, t, who, body)
		if err != nil {
			s.respond(s.ctx, m.Refuse(childCode(err), "%s", message.Reason(err)))
			return
		}
		s.respond(s.ctx, m.Respond(message.CodeOK, nil))
		r.mu.Lock()
		f := r.onChild
		if now, ok := r.doc.Child(body.Resource); ok {
			child = now
		}
		r.mu.Unlock()
		if f != nil {
			f(ChildChange{ID: body.Resource, Child: Child(child), Removed: t == message.Delete})
		}
	})
}

// childCode is the code of the answer to a request about a child object that has failed.
func childCode(err error) int {
	switch code := codeOf(err); {
	case errors.Is(err, ErrTooLarge), code == message.CodeTooMany: // the runtime has no memory for it
		return message.CodeTooLarge
	case errors.Is(err, ErrPath), errors.Is(err, ErrData):
		return message.CodeBadRequest
	case code != 0:
		return code
	}
	return message.CodeError
}
