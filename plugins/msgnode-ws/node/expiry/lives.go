package expiry

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/sdk/message"
)

// lifeGrace is how long the addresses of a runtime's earlier life are kept at least: the applications and data objects that have them
// ask for them again as soon as the runtime is back.
const lifeGrace = 10 * time.Minute

// life is one life of a runtime's process, as the allocation keys of its addresses tell.
type life struct {
	key   string
	given time.Time // when it was last given an address
	since time.Time // when this node saw it first
}

// expireLives frees what the node has made for a process of a runtime that has crashed: addresses that its later process has not
// asked for again, and for which there is no live entry. A process that ends in order frees its addresses itself.
func (x *Expiry) expireLives(ctx context.Context, now time.Time) {
	latest := map[message.URL]life{}
	x.o.State.Allocations.Each(func(_ string, a *state.Allocation) {
		if strings.HasPrefix(a.Key, message.LifeKey) && !a.Since.Before(latest[a.Runtime].given) {
			latest[a.Runtime] = life{key: a.Key, given: a.Since, since: now}
		}
	})
	for runtime, l := range latest {
		if before := x.lives[runtime]; before.key == l.key {
			l.since = before.since
			latest[runtime] = l
		}
	}
	x.lives = latest
	x.o.State.Allocations.Each(func(key string, a *state.Allocation) {
		l := latest[a.Runtime]
		if ctx.Err() != nil || a.Wished || !strings.HasPrefix(a.Key, message.LifeKey) || a.Key == l.key || now.Sub(l.since) <= lifeGrace || x.live(a, now) {
			return
		}
		ctx, cancel := x.o.State.Within(ctx)
		defer cancel()
		err := x.o.State.Allocations.Change(ctx, key, func(old *state.Allocation) (*state.Allocation, error) {
			if old != a {
				return old, errChanged
			}
			return nil, nil
		})
		if c := x.o.Router.Roster.Of(a.Runtime); err == nil && c != nil { // it was given the routes of all that it had
			x.o.Router.Unwant(c, a.Address, routing.Allocated)
		}
		if err != nil && !errors.Is(err, errChanged) {
			x.o.Log.Warn("expiry", "address", a.Address, "error", err)
		}
	})
}

// live tells whether there is a live entry for an address.
func (x *Expiry) live(a *state.Allocation, now time.Time) bool {
	r := x.o.State.Registrations.Get(state.RegistrationKey(a.Address))
	return r != nil && r.Owner == a.Runtime && r.StatusAt(now) == state.Live
}
