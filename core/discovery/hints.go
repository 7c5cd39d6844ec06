package discovery

import (
	"context"
	"time"

	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/sdk/message"
)

// subscribe has the Message Nodes of addresses tell when their registration changes, or tell that no more: of each, whether anybody
// watches it now.
func (d *Discovery) subscribe(addresses []message.URL) {
	if len(addresses) == 0 {
		return
	}
	d.o.Go(func(context.Context) {
		d.subscribing.Lock()
		defer d.subscribing.Unlock()
		var begun, left []message.URL
		d.mu.Lock()
		for _, u := range addresses {
			switch wanted := d.watching.Has(u) && !u.IsRuntime(); {
			case wanted && !d.subscribed[u]:
				begun = append(begun, u)
				d.subscribed[u] = true
			case !wanted && d.subscribed[u]:
				left = append(left, u)
				delete(d.subscribed, u)
			}
		}
		d.mu.Unlock()
		d.o.Registrations.Unfollow(d.url, left)
		if err := d.o.Registrations.Follow(d.url, begun, d.listen); err != nil {
			d.o.Log.Warn("registrations are not followed", "addresses", len(begun), "error", err)
		}
	})
}

// listen takes what the Message Node says at <address>/registration.
func (d *Discovery) listen(at message.URL) (stop func()) {
	u := at.Base().Canonical()
	return d.o.Bus.Listen(at, func(_ context.Context, m message.Message) {
		if m.From == message.DomainRegistryAddress(u.NodeDomain()) {
			d.Moved(u)
		}
	})
}

// Moved is told that somebody else may have an address now, or nobody. It does not wait.
func (d *Discovery) Moved(u message.URL) {
	if d.watched.Load() == 0 {
		return
	}
	d.mu.Lock()
	d.watching.Moved(time.Now(), known(u))
	d.mu.Unlock()
	d.poke()
}

// Node is told whether the Message Node of a domain is connected. It does not wait.
func (d *Discovery) Node(domain string, live bool) {
	d.event(func(now time.Time) bool {
		if live {
			d.watching.NodeBack(now, domain, perSecond)
		} else {
			d.watching.NodeAway(now, domain)
		}
		return d.peers.Node(now, domain, live)
	})
	d.poke()
}

// Left is told that a hyperty of this runtime has ended.
func (d *Discovery) Left(who message.URL) {
	who = who.Canonical()
	d.mu.Lock()
	d.polls.leave(who)
	left := d.watching.Leave(who)
	d.watched.Store(int32(d.watching.Len()))
	d.mu.Unlock()
	d.subscribe(left)
}

// Away is told by a Message Node that a remote runtime is not connected to it.
func (d *Discovery) Away(remote message.URL) {
	if _, direct, ok := d.o.Heard(remote); ok && !direct {
		d.event(func(now time.Time) bool {
			return d.peers.Unreachable(now, remote.Canonical(), "its Message Node says that it is not connected")
		})
	}
}

// Session is told what has happened to a session. It does not wait.
func (d *Discovery) Session(e session.Event) {
	var note func(now time.Time) bool
	switch e.Kind {
	case session.Opened, session.Switched, session.Reset, session.Renewed:
		if e.Incarnation == 0 || e.Path.IsZero() { // the first frame has left, and nobody has answered
			return
		}
		note = func(now time.Time) bool { return d.reached(now, e) }
	case session.PathLost:
		note = func(now time.Time) bool { d.peers.Lost(now, e.Remote); return false }
	case session.Stalled:
		if e.Path.Direct { // another path is sought
			return
		}
		note = func(now time.Time) bool { return d.peers.Unreachable(now, e.Remote, e.Why) }
	case session.Gone:
		note = func(now time.Time) bool { return d.peers.Unreachable(now, e.Remote, e.Why) }
	case session.Idle:
		note = func(time.Time) bool { d.peers.Forget(e.Remote); return false }
	default:
		return
	}
	d.event(note)
	d.poke()
}

// reached notes the path that a session uses. A session that has changed to a relay has not heard from there yet: a runtime that was
// unreachable stays so.
func (d *Discovery) reached(now time.Time, e session.Event) bool {
	if _, missing := d.peers.Missing()[e.Remote]; missing && e.Kind == session.Switched && !e.Path.Direct {
		return false
	}
	return d.peers.Reached(now, e.Remote, e.Path.Direct)
}
