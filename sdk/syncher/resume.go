package syncher

import (
	"context"
	"errors"
	"fmt"

	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// Resume tells a runtime that has been restarted, or that had given this component up, of everything that the
// component reports and observes (specification, "Create": resume). Reported objects keep their addresses and values,
// and their observers come back by themselves; observed ones are fetched anew in the background and show a Resync.
func (s *Syncher) Resume(ctx context.Context) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	var reporters []*Reporter
	for _, r := range s.reporters {
		reporters = append(reporters, r)
	}
	var observers []*Observer
	for _, o := range s.observers {
		observers = append(observers, o)
	}
	s.mu.Unlock()
	var failed []error
	for _, r := range reporters {
		if err := r.resume(ctx); err != nil {
			failed = append(failed, fmt.Errorf("resume %s: %w", r.url, err))
		}
	}
	for _, o := range observers {
		l := o.lock()
		l.refetch()
		l.unlock()
	}
	return errors.Join(failed...)
}

func (r *Reporter) resume(ctx context.Context) error {
	if err := r.take(ctx); err != nil {
		return err
	}
	defer r.give()
	r.mu.Lock()
	r.meta.Version++ // so that everybody takes the value, whatever they saw of a change that was not confirmed
	body := r.createBody(true)
	gone := r.gone
	r.mu.Unlock()
	if gone {
		return nil
	}
	a, err := r.askToResume(ctx, body)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.doubt.is = false
	r.mu.Unlock()
	r.observedBy(a.Observers)
	return nil
}

// tell tells the runtime of a change, after which the object is meta and doc. Where the runtime does not know the object, it has
// started again, and [Syncher.Resume] has not come to this one yet: the runtime is told of the whole object, as Resume does.
func (r *Reporter) tell(ctx context.Context, update object.Update, meta object.Metadata, doc object.Document) error {
	_, err := r.s.askOut(ctx, message.Update, update)
	if codeOf(err) != message.CodeNotFound {
		return err
	}
	meta.Data, meta.Hash = doc.JSON(), doc.Hash()
	r.mu.Lock()
	body := r.createBody(true)
	r.mu.Unlock()
	body.Value = meta
	_, err = r.askToResume(ctx, body)
	return err
}

// askToResume has the runtime go on with the object as it is in body.
func (r *Reporter) askToResume(ctx context.Context, body createBody) (answer, error) {
	a, err := r.s.askOut(ctx, message.Create, body)
	if err == nil && a.Resource.Canonical() != r.url.Canonical() {
		err = fmt.Errorf("the runtime gave it another address: %s", a.Resource)
	}
	return a, err
}
