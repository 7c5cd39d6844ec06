package registry

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/protofly/protofly/sdk/message"
)

// attendance is whether the own domain's Message Node is there, and what it is to be told when it is back. While it is away
// nobody waits for it: addresses of this runtime are used at once, and are entered there later.
type attendance struct {
	mu    sync.Mutex
	there context.Context // ends when the node goes; nil: it has never been there, and is waited for as ever
	leave context.CancelFunc
	names map[message.URL]struct{} // wished for and granted in this life: they stay this runtime's
	owed  map[message.URL]*local   // unregistered while the node was away, by address
}

const (
	maxNames = 4096
	maxOwed  = 4096 // unregistered while the node was away; of more the entries expire
)

// errNodeAway is in the error of a request to the own Message Node that was not made, or was given up, because the node is
// away.
var errNodeAway = errors.New("the Message Node is away")

// set notes that the node is there, or is not any more.
func (a *attendance) set(there bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case !there && a.there != nil:
		a.leave()
	case there && (a.there == nil || a.there.Err() != nil):
		a.there, a.leave = context.WithCancel(context.Background())
	}
}

// while is ctx, which ends also when the node goes.
func (a *attendance) while(ctx context.Context) (context.Context, context.CancelFunc) {
	a.mu.Lock()
	there := a.there
	a.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	switch {
	case there == nil:
		return ctx, cancel
	case there.Err() != nil:
		cancel()
		return ctx, cancel
	}
	stop := context.AfterFunc(there, cancel)
	return ctx, func() { stop(); cancel() }
}

// granted notes a name that the node has given; knows tells whether it has.
func (a *attendance) granted(name message.URL) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.names == nil || len(a.names) >= maxNames {
		a.names = map[message.URL]struct{}{}
	}
	a.names[name.Canonical()] = struct{}{}
}

func (a *attendance) knows(name message.URL) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.names[name.Canonical()]
	return ok
}

// owe notes that the node is still to hear that l has gone; with gone false that it is back.
func (a *attendance) owe(l *local, gone bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch key := l.url.Canonical(); {
	case !gone:
		delete(a.owed, key)
	case len(a.owed) < maxOwed:
		if a.owed == nil {
			a.owed = map[message.URL]*local{}
		}
		a.owed[key] = l
	}
}

// debts takes what the node is to be told.
func (a *attendance) debts() []*local {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make([]*local, 0, len(a.owed))
	for _, l := range a.owed {
		list = append(list, l)
	}
	a.owed = nil
	return list
}

// askNode is request to a function of the own domain's Message Node. Where the node is away, or goes, the error is
// [errNodeAway], at once.
func (r *Registry) askNode(ctx context.Context, typ message.Type, to message.URL, body any) (message.Message, error) {
	there, cancel := r.attendance.while(ctx)
	defer cancel()
	if ctx.Err() == nil && there.Err() != nil {
		return message.Message{}, fmt.Errorf("%s to %s: %w", typ, to, errNodeAway)
	}
	answer, err := r.request(there, typ, to, body, r.opts.LookupTimeout)
	if err != nil && ctx.Err() == nil && there.Err() != nil {
		return answer, fmt.Errorf("%s to %s: %w", typ, to, errNodeAway)
	}
	return answer, err
}

// address is one of this runtime's alone: from the node, or, while that is away, an identifier that nobody else hits upon,
// which the node is told of when it is back (granted is false then).
func (r *Registry) address(ctx context.Context, scheme string) (url message.URL, granted bool, err error) {
	url, err = r.Allocate(ctx, scheme)
	if errors.Is(err, errNodeAway) {
		return message.URL(scheme + "://" + r.opts.Domain + "/" + strings.ToLower(rand.Text())), false, nil
	}
	return url, true, err
}

// settleDebts tells the node, which is back, what has gone meanwhile.
func (r *Registry) settleDebts() {
	list := r.attendance.debts()
	if len(list) == 0 {
		return
	}
	r.spawn(func(ctx context.Context) {
		r.eachEntry(ctx, list, func(ctx context.Context, l *local) error {
			if _, again := r.locals.get(l.url.Canonical()); again {
				return nil
			}
			return r.farewell(ctx, l)
		})
	})
}

// farewell tells the node that l has gone.
func (r *Registry) farewell(ctx context.Context, l *local) error {
	var errs error
	if !l.private {
		errs = r.leave(ctx, l)
	}
	if !l.named && !l.ungranted.Load() && !errors.Is(errs, errNodeAway) {
		errs = errors.Join(errs, r.release(ctx, []message.URL{l.url}))
	}
	return errs
}
