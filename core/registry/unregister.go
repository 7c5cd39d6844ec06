package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/protofly/protofly/core/registry/changes"
	"github.com/protofly/protofly/core/registry/ownnode"
	"github.com/protofly/protofly/sdk/message"
)

// Unregister removes a hyperty: from this Registry at once, from the Domain Registry if it can be reached. A name
// that the application has chosen stays this runtime's.
func (r *Registry) Unregister(ctx context.Context, url message.URL) error {
	return r.unregister(ctx, url, false)
}

// Release is Unregister, and gives the name up: when it returns nil, another runtime may register it. While the Message Node is away
// the error is a *message.ResponseError with code 504; the name is given up when the node is back, if this runtime still runs then.
func (r *Registry) Release(ctx context.Context, url message.URL) error {
	return r.unregister(ctx, url, true)
}

// UnregisterObject removes a data object.
func (r *Registry) UnregisterObject(ctx context.Context, url message.URL) error {
	return r.unregister(ctx, url, false)
}

func (r *Registry) unregister(ctx context.Context, url message.URL, release bool) error {
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
	if l.ephemeral {
		return nil
	}
	r.opts.Own.GivenUp(l.url)
	if release {
		l.released.Store(true)
		r.own.Forget(l.url)
	}
	err := r.release(ctx, l)
	if errors.Is(err, ownnode.ErrAway) {
		r.own.Owe(l.url, l, true)
		err = nil
		if release && l.named {
			err = r.refuse(message.CodeUnavailable, "the Message Node is away: the name is given up when it is back, if this runtime still runs then")
		}
	}
	if err != nil {
		return fmt.Errorf("unregister %s: %w", url, err)
	}
	return nil
}

// releaseAll removes what is registered here from the Domain Registry, as far as releaseTimeout allows.
func (r *Registry) releaseAll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, releaseTimeout)
	defer cancel()
	var list []*local
	unused := r.own.Unused()
	if r.ask(ctx, func() {
		list = r.locals.public()
		r.locals.each(func(l *local) {
			if !l.named && !l.ephemeral {
				unused = append(unused, l.url)
			}
		})
	}) != nil {
		return
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
	granted := (!l.named || l.reporter != "") && !l.ungranted.Load()
	if (granted || l.named && l.released.Load()) && !errors.Is(errs, ownnode.ErrAway) {
		errs = errors.Join(errs, r.own.Release(ctx, []message.URL{l.url}))
	}
	return errs
}
