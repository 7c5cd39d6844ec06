package node

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

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
	lost := func(r *registration) bool {
		if r.Status != live || !proof.KeyDerived(r.Owner) || !n.gone(r.Owner) {
			return false
		}
		there, asked := elsewhere[r.Owner]
		if !asked {
			there = n.elsewhere(n.ctx, r.Owner)
			elsewhere[r.Owner] = there
		}
		return !there
	}
	n.registrations.Each(func(key string, r *registration) {
		if n.ctx.Err() != nil {
			return
		}
		old := r.Status == disconnected && now.Sub(r.Modified) > n.opts.Times.Retention
		if !old && r.status(now) == r.Status && !lost(r) {
			return
		}
		ctx, cancel := context.WithTimeout(n.ctx, n.opts.Times.State)
		defer cancel()
		err := n.registrations.Change(ctx, key, func(latest *registration) (*registration, error) {
			if latest != r {
				return latest, errChanged
			}
			if old {
				return nil, nil
			}
			e := *r
			e.Status = disconnected
			return &e, nil
		})
		if err == nil && !old {
			n.announce(r.URL, disconnected)
		} else if err != nil && !errors.Is(err, errChanged) {
			n.log.Warn("expiry", "url", r.URL, "error", err)
		}
	})
}

var errChanged = errors.New("changed meanwhile")

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
	n.subscriptions.Each(func(key string, s *subscription) {
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
	n.allocations.Each(func(key string, a *allocation) {
		seen := a.Seen
		if s := n.allocations.Get(seenKey(a.Runtime)); s != nil && s.Seen.After(seen) {
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
			err = n.allocations.Change(ctx, seenKey(a.Runtime), func(*allocation) (*allocation, error) {
				return &allocation{Runtime: a.Runtime, Seen: today, Source: a.Source}, nil
			})
		} else {
			err = n.allocations.Change(ctx, key, func(old *allocation) (*allocation, error) {
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

func isNobody(err error) bool { return errors.Is(err, nats.ErrNoResponders) }
