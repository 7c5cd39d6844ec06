package node

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// sweep looks at regular times for what has expired: entries of the Domain Registry, subscriptions of runtimes that have
// not come back, and in the long run the addresses and the entries that nobody uses.
func (n *Node) sweep() {
	tick := time.NewTicker(n.opts.Times.Sweep)
	defer tick.Stop()
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-tick.C:
		}
		if n.full() {
			continue // nothing can be written; what is read is right without the sweep
		}
		if n.backbone.Fault() != "" {
			if err := n.backbone.Revive(); err != nil {
				n.log.Error("the state stays read-only", "error", err)
				continue
			}
			n.log.Info("the state can be written again")
		}
		n.expireRegistrations()
		n.makeRoom()
		n.expireSubscriptions()
		n.expireAllocations()
		n.expireRedemptions()
		n.forgetMissing()
	}
}

func (n *Node) full() bool {
	if n.opts.NATS != "" {
		return false
	}
	free, ok := freeBytes(n.opts.Data)
	return ok && free < n.opts.Limits.MinFree
}

// expireRegistrations writes down what is no longer kept alive, tells its subscribers, and removes what has been
// disconnected for the retention time. Of several nodes one succeeds, and only it tells. An entry also ends when its
// runtime has had no connection for the grace period: nobody could reach it. The runtime says that it is live again as
// soon as it is back; one of the JSON dialects does not, so there only the time counts.
func (n *Node) expireRegistrations() {
	now := time.Now()
	elsewhere := map[message.URL]bool{}
	lost := func(r *state.Registration) bool {
		if r.Status != state.Live || !proof.KeyDerived(r.Owner) || !n.gone(r.Owner) {
			return false
		}
		there, asked := elsewhere[r.Owner]
		if !asked {
			there = n.elsewhere(n.ctx, r.Owner)
			elsewhere[r.Owner] = there
		}
		return !there
	}
	n.state.Registrations.Each(func(key string, r *state.Registration) {
		if n.ctx.Err() != nil {
			return
		}
		old := r.Status == state.Disconnected && now.Sub(r.Modified) > n.opts.Times.Retention
		if !old && r.StatusAt(now) == r.Status && !lost(r) {
			return
		}
		ctx, cancel := context.WithTimeout(n.ctx, n.opts.Times.State)
		defer cancel()
		err := n.state.Registrations.Change(ctx, key, func(latest *state.Registration) (*state.Registration, error) {
			if latest != r {
				return latest, errChanged
			}
			if old {
				return nil, nil
			}
			e := *r
			e.Status = state.Disconnected
			return &e, nil
		})
		if err == nil && !old {
			n.announce(r.URL, state.Disconnected)
		} else if err != nil && !errors.Is(err, errChanged) {
			n.log.Warn("expiry", "url", r.URL, "error", err)
		}
	})
}

var errChanged = errors.New("changed meanwhile")

// makeRoomEach is how many entries a sweep removes at most.
const makeRoomEach = 500

// makeRoom removes entries that are disconnected once the state is nearly full: first those of whoever has the most there,
// and of these the oldest. A runtime that comes back registers anew, and its addresses stay its own.
func (n *Node) makeRoom() {
	l := n.opts.Limits
	rows, bytes := n.state.Size()
	if rows <= l.Rows/4*3 && bytes <= l.State/4*3 {
		return
	}
	type entry struct {
		key   string
		value *state.Registration
		share int64
	}
	var list []entry
	n.state.Registrations.Each(func(key string, r *state.Registration) {
		if r.Status != state.Disconnected {
			return
		}
		e := entry{key, r, n.state.Registrations.Weighs("r:" + string(r.Owner))}
		if r.Source != "" {
			e.share = max(e.share, n.state.Registrations.Weighs("s:"+r.Source))
		}
		list = append(list, e)
	})
	slices.SortFunc(list, func(a, b entry) int {
		return cmp.Or(cmp.Compare(b.share, a.share), a.value.Modified.Compare(b.value.Modified))
	})
	for _, e := range list[:min(len(list), makeRoomEach)] {
		if rows, bytes = n.state.Size(); n.ctx.Err() != nil || rows <= l.Rows/4*3 && bytes <= l.State/4*3 {
			return
		}
		ctx, cancel := context.WithTimeout(n.ctx, n.opts.Times.State)
		err := n.state.Registrations.Change(ctx, e.key, func(latest *state.Registration) (*state.Registration, error) {
			if latest != e.value {
				return latest, nil
			}
			return nil, nil
		})
		cancel()
		if err != nil {
			n.log.Warn("entry not removed", "url", e.value.URL, "error", err)
			return
		}
	}
}

// gone tells whether a runtime has had no connection for the grace period. The time starts when this is first asked.
func (n *Node) gone(runtime message.URL) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.runtimes[runtime] != nil {
		return false
	}
	since, ok := n.missing[runtime]
	if !ok {
		n.missing[runtime] = time.Now()
		return false
	}
	return time.Since(since) > n.opts.Times.Grace
}

func (n *Node) expireSubscriptions() {
	elsewhere := map[message.URL]bool{}
	n.state.Subscriptions.Each(func(key string, s *state.Subscription) {
		if n.ctx.Err() != nil || !n.gone(s.Runtime) {
			return
		}
		there, asked := elsewhere[s.Runtime]
		if !asked {
			there = n.elsewhere(n.ctx, s.Runtime)
			elsewhere[s.Runtime] = there
		}
		if there {
			return
		}
		if err := n.forget(n.ctx, key); err != nil {
			n.log.Warn("expiry", "subscription", s.Address, "error", err)
		}
	})
}

// expireAllocations notes, once a day, that a runtime is there, and frees what one that stays away was given. Wished
// addresses are kept.
func (n *Node) expireAllocations() {
	today := time.Now().UTC().Truncate(24 * time.Hour)
	elsewhere := map[message.URL]bool{}
	n.state.Allocations.Each(func(key string, a *state.Allocation) {
		seen := a.Seen
		if s := n.state.Allocations.Get(state.SeenKey(a.Runtime)); s != nil && s.Seen.After(seen) {
			seen = s.Seen
		}
		if n.ctx.Err() != nil || a.Wished || !seen.Before(today) {
			return
		}
		here := n.connected(a.Runtime)
		if !here && today.Sub(seen) <= n.opts.Times.Retention {
			return
		}
		if _, asked := elsewhere[a.Runtime]; !here && !asked {
			elsewhere[a.Runtime] = n.elsewhere(n.ctx, a.Runtime)
		}
		if !here && elsewhere[a.Runtime] {
			return
		}
		ctx, cancel := context.WithTimeout(n.ctx, n.opts.Times.State)
		defer cancel()
		var err error
		if here {
			err = n.state.Allocations.Change(ctx, state.SeenKey(a.Runtime), func(*state.Allocation) (*state.Allocation, error) {
				return &state.Allocation{Runtime: a.Runtime, Seen: today, Source: a.Source}, nil
			})
		} else {
			err = n.state.Allocations.Change(ctx, key, func(old *state.Allocation) (*state.Allocation, error) {
				if old != a {
					return old, errChanged
				}
				return nil, nil
			})
		}
		if err != nil && !errors.Is(err, errChanged) {
			n.log.Warn("expiry", "runtime", a.Runtime, "error", err)
		}
	})
}

// forgetMissing drops what is remembered of runtimes that have been away for long.
func (n *Node) forgetMissing() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for r, since := range n.missing {
		if time.Since(since) > n.opts.Times.Grace+time.Hour {
			delete(n.missing, r)
		}
	}
}
