package expiry

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/invites"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/limits"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/registry"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/writes"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// Options are the parts that an Expiry works on.
type Options struct {
	Limits   limits.Limits
	Times    limits.Times
	State    *state.State
	Writes   *writes.Writes
	NATS     NATS
	Router   *routing.Router
	Registry *registry.Registry
	Invites  *invites.Invites
	Log      hclog.Logger
}

// NATS repairs a fault of the embedded server.
type NATS interface {
	Fault() string // "": there is none
	Revive() error
}

// Expiry ends what has expired.
type Expiry struct {
	o     Options
	lives map[message.URL]life // of runtimes that have addresses: their latest
}

// New makes an expiry.
func New(o Options) *Expiry { return &Expiry{o: o} }

// Run looks at regular times for what has expired: entries of the Domain Registry, subscriptions of runtimes that have
// not come back, and in the long run the addresses and the entries that nobody uses. It ends with ctx.
func (x *Expiry) Run(ctx context.Context) {
	tick := time.NewTicker(x.o.Times.Sweep)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if x.o.Writes.DiskFull() {
			continue // nothing can be written; what is read is right without the sweep
		}
		if x.o.NATS.Fault() != "" {
			if err := x.o.NATS.Revive(); err != nil {
				x.o.Log.Error("the state stays read-only", "error", err)
				continue
			}
			x.o.Log.Info("the state can be written again")
		}
		x.sweep(ctx, time.Now())
	}
}

// sweep ends what has expired at a time.
func (x *Expiry) sweep(ctx context.Context, now time.Time) {
	x.expireRegistrations(ctx, now)
	x.makeRoom(ctx)
	x.expireSubscriptions(ctx, now)
	x.expireAllocations(ctx, now)
	x.expireLives(ctx, now)
	x.o.Invites.Expire(ctx, now)
	x.o.Router.Roster.Forget(now)
}

// expireRegistrations writes down what is no longer kept alive, tells its subscribers, and removes what has been
// disconnected for as long as it was needed. Of several nodes one succeeds, and only it tells. An entry also ends when its
// runtime has had no connection for the grace period: nobody could reach it. The runtime says that it is live again as
// soon as it is back; one of the JSON dialects does not, so there only the time counts.
func (x *Expiry) expireRegistrations(ctx context.Context, now time.Time) {
	elsewhere := map[message.URL]bool{}
	lost := func(r *state.Registration) bool {
		if r.Status != state.Live || !proof.KeyDerived(r.Owner) || !x.o.Router.Roster.Gone(r.Owner, now) {
			return false
		}
		there, asked := elsewhere[r.Owner]
		if !asked {
			there = x.o.Router.Elsewhere(ctx, r.Owner)
			elsewhere[r.Owner] = there
		}
		return !there
	}
	x.o.State.Registrations.Each(func(key string, r *state.Registration) {
		if ctx.Err() != nil {
			return
		}
		old := r.Status == state.Disconnected && !x.o.State.Needed(r, now, x.o.Times.Retention)
		if !old && r.StatusAt(now) == r.Status && !lost(r) {
			return
		}
		ctx, cancel := x.o.State.Within(ctx)
		defer cancel()
		err := x.o.State.Registrations.Change(ctx, key, func(latest *state.Registration) (*state.Registration, error) {
			if latest != r {
				return latest, errChanged
			}
			if old {
				return nil, nil
			}
			ended := *r
			ended.Status = state.Disconnected
			return &ended, nil
		})
		if err == nil && !old {
			x.o.Registry.Announce(r.URL, state.Disconnected)
		} else if err != nil && !errors.Is(err, errChanged) {
			x.o.Log.Warn("expiry", "url", r.URL, "error", err)
		}
	})
}

var errChanged = errors.New("changed meanwhile")

// makeRoomEach is how many entries a sweep removes at most.
const makeRoomEach = 500

// makeRoom removes disconnected entries once the state is nearly full: first those of the runtime with the most, and of these
// the oldest. A runtime that comes back registers anew, and its addresses stay its own.
func (x *Expiry) makeRoom(ctx context.Context) {
	l := x.o.Limits
	rows, bytes := x.o.State.Size()
	if rows <= l.Rows/4*3 && bytes <= l.State/4*3 {
		return
	}
	type entry struct {
		key   string
		value *state.Registration
		share int64
	}
	var list []entry
	x.o.State.Registrations.Each(func(key string, r *state.Registration) {
		if r.Status != state.Disconnected {
			return
		}
		e := entry{key, r, x.o.State.Registrations.Weighs("r:" + string(r.Owner))}
		if r.Source != "" {
			e.share = max(e.share, x.o.State.Registrations.Weighs("s:"+r.Source))
		}
		list = append(list, e)
	})
	slices.SortFunc(list, func(a, b entry) int {
		return cmp.Or(cmp.Compare(b.share, a.share), a.value.Modified.Compare(b.value.Modified))
	})
	for _, e := range list[:min(len(list), makeRoomEach)] {
		if rows, bytes = x.o.State.Size(); ctx.Err() != nil || rows <= l.Rows/4*3 && bytes <= l.State/4*3 {
			return
		}
		ctx, cancel := x.o.State.Within(ctx)
		err := x.o.State.Registrations.Change(ctx, e.key, func(latest *state.Registration) (*state.Registration, error) {
			if latest != e.value {
				return latest, nil
			}
			return nil, nil
		})
		cancel()
		if err != nil {
			x.o.Log.Warn("entry not removed", "url", e.value.URL, "error", err)
			return
		}
	}
}

func (x *Expiry) expireSubscriptions(ctx context.Context, now time.Time) {
	elsewhere := map[message.URL]bool{}
	x.o.State.Subscriptions.Each(func(key string, s *state.Subscription) {
		if ctx.Err() != nil || !x.o.Router.Roster.Gone(s.Runtime, now) {
			return
		}
		there, asked := elsewhere[s.Runtime]
		if !asked {
			there = x.o.Router.Elsewhere(ctx, s.Runtime)
			elsewhere[s.Runtime] = there
		}
		if there {
			return
		}
		if err := x.o.State.Unsubscribe(ctx, key); err != nil {
			x.o.Log.Warn("expiry", "subscription", s.Address, "error", err)
		}
	})
}

// expireAllocations notes, once a day, which runtimes are connected, and frees the addresses of a runtime that stays away.
// Wished addresses are kept.
func (x *Expiry) expireAllocations(ctx context.Context, now time.Time) {
	today := now.UTC().Truncate(24 * time.Hour)
	elsewhere := map[message.URL]bool{}
	x.o.State.Allocations.Each(func(key string, a *state.Allocation) {
		seen := a.Seen
		if s := x.o.State.Allocations.Get(state.SeenKey(a.Runtime)); s != nil && s.Seen.After(seen) {
			seen = s.Seen
		}
		if ctx.Err() != nil || a.Wished || !seen.Before(today) {
			return
		}
		here := x.o.Router.Roster.Connected(a.Runtime)
		if !here && today.Sub(seen) <= x.o.Times.Retention {
			return
		}
		if _, asked := elsewhere[a.Runtime]; !here && !asked {
			elsewhere[a.Runtime] = x.o.Router.Elsewhere(ctx, a.Runtime)
		}
		if !here && elsewhere[a.Runtime] {
			return
		}
		ctx, cancel := x.o.State.Within(ctx)
		defer cancel()
		var err error
		if here {
			err = x.o.State.Allocations.Change(ctx, state.SeenKey(a.Runtime), func(*state.Allocation) (*state.Allocation, error) {
				return &state.Allocation{Runtime: a.Runtime, Seen: today, Source: a.Source}, nil
			})
		} else {
			err = x.o.State.Allocations.Change(ctx, key, func(old *state.Allocation) (*state.Allocation, error) {
				if old != a {
					return old, errChanged
				}
				return nil, nil
			})
		}
		if err != nil && !errors.Is(err, errChanged) {
			x.o.Log.Warn("expiry", "runtime", a.Runtime, "error", err)
		}
	})
}
