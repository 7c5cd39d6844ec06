package syncher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

const (
	answerTime = time.Second // how long a change that was sent waits for its answer when its context has ended
	maxRetries = 3           // of a change that the runtime takes for one of another version
)

// Path is the path of the attribute that is reached by keys, and by the indices of arrays in decimal: the way to keys that have dots
// in them, are addresses, or empty. Path("versions", "1.0") is `.versions.1\.0`.
func Path(keys ...string) string { return object.Path(keys...) }

// Set sets an attribute, named by its path, to value's JSON form; it makes what is missing on the way. One reporter
// makes one change at a time; Set returns when the runtime has it. Where the error is not nil the change has not been made. ctx
// bounds the wait for the changes before; a change that was sent waits for its answer, for a second more if it has to.
func (r *Reporter) Set(ctx context.Context, attribute string, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("set %.80q of %s: %w", attribute, r.url, err)
	}
	return r.change(ctx, "set", attribute, func(d object.Document) (object.Change, error) { return d.Replacement(attribute, raw), nil })
}

// Add appends value to the array that attribute names (specification, "Trickle"); it makes one where there is none. See
// [Reporter.Set].
func (r *Reporter) Add(ctx context.Context, attribute string, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("add to %.80q of %s: %w", attribute, r.url, err)
	}
	return r.change(ctx, "add to", attribute, func(d object.Document) (object.Change, error) {
		return d.Addition(attribute, raw), d.Extensible(attribute)
	})
}

// Remove removes an attribute, or an element of an array. It is no error where there is none of that name: then nothing changes,
// and observers are not told. See [Reporter.Set].
func (r *Reporter) Remove(ctx context.Context, attribute string) error {
	return r.change(ctx, "remove", attribute, func(d object.Document) (object.Change, error) {
		has, err := d.Has(attribute)
		if err == nil && !has {
			err = errNothing
		}
		return d.Removal(attribute), err
	})
}

// errNothing says that there is nothing to be changed.
var errNothing = errors.New("nothing to change")

// change makes a change of an attribute that is the reporter's alone.
func (r *Reporter) change(ctx context.Context, verb, attribute string, f func(object.Document) (object.Change, error)) error {
	err := r.reserved(attribute)
	if err == nil {
		err = r.publish(ctx, f)
	}
	if err != nil {
		return fmt.Errorf("%s %.80q of %s: %w", verb, attribute, r.url, err)
	}
	return nil
}

// reserved refuses an attribute that is the object's child objects.
func (r *Reporter) reserved(attribute string) error {
	r.mu.Lock()
	names := r.meta.Childrens
	r.mu.Unlock()
	if len(names) > 0 && object.IsChildren(attribute) {
		return fmt.Errorf("%w: %s is for child objects: use AddChild, SetChild and RemoveChild", ErrPath, object.ChildrenAttribute)
	}
	return nil
}

// take waits for the turn to change the object; give ends the turn.
func (r *Reporter) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil { // else it might get its turn all the same
		return err
	}
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

// publish makes the change that f says: it tries the change on a copy, waits until the runtime has taken it, and keeps it. Where
// f has an error nothing is changed.
func (r *Reporter) publish(ctx context.Context, f func(object.Document) (object.Change, error)) error {
	if err := r.take(ctx); err != nil {
		return err
	}
	defer r.give()
	r.mu.Lock()
	doc, gone := r.doc, r.gone
	r.mu.Unlock()
	if gone {
		return &message.ResponseError{Code: message.CodeNotFound, Description: "the object is deleted", From: r.s.sm}
	}
	c, err := f(doc)
	if errors.Is(err, errNothing) {
		return nil
	}
	if err != nil {
		return err
	}
	next, err := doc.Apply(c)
	if err != nil {
		return err
	}
	return r.send(ctx, &c, next)
}

// send has the runtime take the next document: as the change c, or whole where c is nil, or where the runtime may have another
// document than the reporter. The caller has the turn.
func (r *Reporter) send(ctx context.Context, c *object.Change, next object.Document) error {
	for try := 0; ; try++ {
		r.mu.Lock()
		meta, whole := r.meta, r.doubt.is || c == nil || try > 0
		r.mu.Unlock()
		meta.Version++
		meta.LastModified = object.Now()
		var update object.Update
		if whole {
			update = object.WholeUpdate(meta, next)
		} else {
			update = object.NewUpdate(*c, meta.Version, meta.LastModified)
			update.Hash = next.Hash()
		}
		update.Resource = r.url
		err := r.tell(ctx, update, meta, next)
		if err == nil {
			r.keep(next, meta)
			return nil
		}
		code := codeOf(err)
		if code == message.CodeConflict { // the runtime has another version, or another document: it has not taken this one
			r.mu.Lock()
			r.meta.Version = meta.Version
			r.mu.Unlock()
			if try < maxRetries {
				continue
			}
		}
		if !certain(code) {
			r.doubted(meta.Version)
		}
		return err
	}
}

// certain tells whether a runtime that answers with the code has certainly not made the change.
func certain(code int) bool {
	return code != 0 && code != message.CodeTimeout && code != message.CodeUnavailable
}

// keep makes the object what the runtime has taken.
func (r *Reporter) keep(doc object.Document, meta object.Metadata) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doc, r.meta, r.doubt.is = doc, meta, false
	r.packer.Changed(r.url, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.doc = r.packer.Packed(r.doc)
	})
}

// doubted notes that the runtime may have made a change of that version, which the reporter has not: whoever has it is put right.
func (r *Reporter) doubted(version uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doubt.is, r.meta.Version = true, version
	if !r.doubt.settling {
		r.doubt.settling = r.s.spawn(r.settle)
	}
}

// settle sends the whole object as it is at the reporter, unless a change does that before, until the runtime has it or refuses
// it.
func (r *Reporter) settle() {
	pauses := backoff.Backoff{Min: time.Second}
	for over := false; !over; {
		_ = pauses.Wait(r.s.ctx)
		select {
		case <-r.turn:
			over = r.settled()
			r.give()
		case <-r.s.ctx.Done():
			return
		default: // a change is being made, which says
		}
	}
}

// settled sends the whole object once, where that is needed still, and tells whether there is nothing more to be done. The caller
// has the turn.
func (r *Reporter) settled() (over bool) {
	r.mu.Lock()
	doc, needed := r.doc, r.doubt.is && !r.gone
	r.mu.Unlock()
	var err error
	if needed {
		if err = r.send(r.s.ctx, nil, doc); err != nil {
			r.s.log.Debug("cannot put right what a lost change has left", "object", r.url, "error", err)
		}
	}
	if err != nil && !certain(codeOf(err)) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doubt.settling = false
	return true
}

// askOut is ask for a change, which nobody can take back once it is sent: where ctx ends then, the answer is waited for a little
// longer.
func (s *Syncher) askOut(ctx context.Context, t message.Type, body any) (answer, error) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		_ = backoff.Sleep(longer, answerTime)
		cancel()
	})()
	a, err := s.ask(longer, t, body)
	if ended := ctx.Err(); err != nil && longer.Err() != nil && ended != nil {
		err = ended
	}
	return a, err
}
