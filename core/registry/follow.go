package registry

import (
	"context"
	"strings"
	"time"

	"github.com/protofly/protofly/core/registry/changes"
	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/sdk/message"
)

// listing enters what a remote runtime lists; it is the [changes.Names] of a subscription. It is used in the loop.
type listing struct {
	r *Registry
	f *following
}

// List enters an address that the remote runtime says lives there.
func (l listing) List(key message.URL) bool {
	r, rt := l.r, l.f.rt
	if key.IsRuntime() || key.IsBackEnd() || r.locals.has(key) {
		return false
	}
	if !l.f.Has(key) && l.f.Listed() >= r.opts.Cache.MaxListed || !r.learn(rt, key, directory.Listed) {
		return false
	}
	r.opts.Trace.Emit(trace.Event{Kind: trace.Listed, To: key, Peer: rt.URL(), Via: rt.Way().Direct.Door})
	return true
}

// Unlist forgets an address that the remote runtime has given up.
func (l listing) Unlist(key message.URL) {
	l.r.directory.GiveUp(l.f.rt, key, time.Now())
	l.r.moved(key)
}

// parseChange is [changes.Parse] with each address as its [directory.Key]. A change that waits is counted with the size of
// its addresses, so these are copies: they must not keep the longer texts that they were cut from.
func parseChange(m *message.Message) (changes.Change, error) {
	c, err := changes.Parse(m)
	for i, u := range c.URLs {
		if key := directory.Key(u); key != u {
			c.URLs[i] = message.URL(strings.Clone(string(key)))
		}
	}
	return c, err
}

// follow subscribes to a remote runtime's /registry/changes (specification, "P2P Connection Registration for Handler", steps 8 to
// 18). It is called each time a connection with it becomes live. It runs in the loop.
func (r *Registry) follow(rt *directory.Runtime) {
	if !r.following.on {
		return
	}
	f := r.following.by[rt.URL()]
	if f == nil {
		f = &following{rt: rt}
		r.following.by[rt.URL()] = f
		from := rt.URL().Join("registry")
		f.stop = r.call.Listen(from.Join("changes"), func(ctx context.Context, m message.Message) {
			if m.Type == message.Response {
				return
			}
			if m.Type != message.Update || m.From.Canonical() != from {
				r.opts.Log.Warn("registry changes from somebody else ignored", "runtime", rt.URL(), "from", m.From, "type", m.Type)
				return
			}
			c, err := parseChange(&m)
			_ = r.ask(ctx, func() { r.changed(f, c, err) }) // waiting keeps a remote runtime to one such task in the queue
		})
	}
	r.subscribe(f, f.Begin())
}

// changed takes an update. It runs in the loop.
func (r *Registry) changed(f *following, c changes.Change, err error) {
	if err != nil {
		r.opts.Log.Warn("malformed registry changes", "runtime", f.rt.URL(), "error", err)
		r.subscribe(f, f.Again())
		return
	}
	before := f.Version()
	ask, left := f.Apply(c, listing{r, f})
	if ask.Wanted {
		r.opts.Log.Debug("a gap in the registry changes", "runtime", f.rt.URL(), "have", before, "got", c.Version)
	}
	r.logRefused(f, left)
	r.subscribe(f, ask)
}

func (r *Registry) logRefused(f *following, left int) {
	if left > 0 {
		r.opts.Log.Warn("addresses that a runtime lists were not taken: another's, or too many", "runtime", f.rt.URL(), "number", left)
	}
}

// subscribe asks for the complete list and the updates from there on, if ask wants that. It runs in the loop.
func (r *Registry) subscribe(f *following, ask changes.Ask) {
	if !ask.Wanted {
		return
	}
	r.loop.Go(func(ctx context.Context) {
		if ask.Pause > 0 && !backoff.Sleep(ctx, ask.Pause) {
			return
		}
		registry := f.rt.URL().Join("registry")
		body := map[string]any{"subscribe": []message.URL{registry.Join("changes")}}
		answer, err := r.call.request(ctx, message.Subscribe, registry, body)
		var list changes.Change
		if err == nil {
			list, err = parseChange(&answer)
		}
		r.loop.Do(func() { r.subscribed(f, list, err) })
	})
}

// subscribed takes the answer to a subscription. It runs in the loop.
func (r *Registry) subscribed(f *following, list changes.Change, err error) {
	live := f.rt.Way().Live()
	if err != nil {
		if f.On() {
			r.opts.Log.Debug("no registry changes", "runtime", f.rt.URL(), "error", err)
		}
		r.subscribe(f, f.Refused(isCode(err, message.CodeTimeout) || isCode(err, message.CodeUnavailable), live))
		return
	}
	ask, left := f.Subscribed(list, listing{r, f}, live)
	r.logRefused(f, left)
	r.subscribe(f, ask)
}

// giveUp forgets an address that a remote runtime has given up, also in its list. It runs in the loop.
func (r *Registry) giveUp(rt *directory.Runtime, key message.URL) {
	if f := r.following.by[rt.URL()]; f != nil {
		f.Remove(key, listing{r, f})
		return
	}
	r.directory.GiveUp(rt, key, time.Now())
	r.moved(key)
}

// unfollow ends the subscription to a remote runtime's list here. It runs in the loop.
func (r *Registry) unfollow(remote message.URL) {
	if f := r.following.by[remote]; f != nil {
		delete(r.following.by, remote)
		f.End()
		r.loop.Go(func(context.Context) { f.stop() })
	}
}

// setFollowing switches the following of others' lists on or off. It runs in the loop.
func (r *Registry) setFollowing(on bool) {
	r.following.on = on
	if on {
		r.directory.Each(func(rt *directory.Runtime) bool {
			if rt.Way().Live() {
				r.follow(rt)
			}
			return true
		})
		return
	}
	for remote, f := range r.following.by {
		r.unfollow(remote)
		if f.rt.Way().Live() { // without a connection no message can tell the remote runtime
			r.loop.Go(func(ctx context.Context) { r.unsubscribe(ctx, remote) })
		}
	}
}

func (r *Registry) unsubscribe(ctx context.Context, remote message.URL) {
	registry := remote.Join("registry")
	body := map[string]any{"unsubscribe": []message.URL{registry.Join("changes")}}
	if _, err := r.call.request(ctx, message.Unsubscribe, registry, body); err != nil && ctx.Err() == nil {
		r.opts.Log.Debug("not unsubscribed", "runtime", remote, "error", err)
	}
}
