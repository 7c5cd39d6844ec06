package registry

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// publishing is this runtime's /registry/changes (specification, "Registry changes"). Answers to subscriptions and
// updates leave through one queue, so that a follower gets them in the order of their versions.
type publishing struct {
	on        bool                      // the loop's own, as are followers and version
	followers map[message.URL]*follower // by remote runtime with a P2P connection; maxFollowers
	version   uint64                    // of the list; counts up with each update

	mu    sync.Mutex
	queue []outgoing
	wake  chan struct{}
}

type follower struct{ stop func() }

type outgoing struct {
	m      message.Message
	update bool // may be replaced by a complete list
}

// changesBody is the value of an answer or the body of an update.
type changesBody struct {
	Code      int           `json:"code,omitempty"`
	Operation string        `json:"operation,omitempty"`
	Value     []message.URL `json:"value"`
	Version   uint64        `json:"version"`
}

const (
	opAdd, opRemove = "add", "remove"

	maxListBytes   = 512 << 10 // of the addresses in one message
	maxUpdates     = 256       // that wait; then a complete list takes their place
	maxFollowers   = 1 << 14
	publishTimeout = 10 * time.Second
	listPause      = 50 * time.Millisecond // between two lists for one runtime: each is made of all addresses here
)

// receive takes what is sent to <runtime>/registry: subscriptions to its changes.
func (r *Registry) receive(ctx context.Context, m message.Message) {
	switch m.Type {
	case message.Response:
		return
	case message.Subscribe, message.Unsubscribe:
	case message.Execute:
		if r.isLocal(m.From) {
			r.command(ctx, m)
		} else {
			r.execute(ctx, m)
		}
		return
	default:
		r.opts.Bus.Reply(m.Refuse(message.CodeBadRequest, "the Registry takes subscribe, unsubscribe and execute, not %s", m.Type))
		return
	}
	wanted, err := parseSubscription(&m)
	if err != nil {
		r.opts.Bus.Reply(m.Refuse(message.CodeBadRequest, "%v", err))
		return
	}
	remote := m.From.Runtime()
	if remote == "" || remote == r.opts.Runtime || m.From.Canonical() != remote.Join("registry") {
		r.opts.Bus.Reply(m.Refuse(message.CodeForbidden, "only another runtime's registry may follow this one's changes"))
		return
	}
	for _, url := range wanted {
		if url.Canonical() != r.changes {
			r.opts.Bus.Reply(m.Refuse(message.CodeNotFound, "the Registry publishes %s, not %s", r.changes, url))
			return
		}
	}
	r.do(func() {
		if m.Type == message.Unsubscribe {
			r.dropFollower(remote)
			r.send(outgoing{m: m.Respond(message.CodeOK, nil)})
			return
		}
		r.addFollower(remote, m)
	})
}

// parseSubscription reads which addresses a subscribe or unsubscribe is about; implementations differ in the field.
func parseSubscription(m *message.Message) (message.URLs, error) {
	var body struct {
		Subscribe   message.URLs `json:"subscribe"`
		Unsubscribe message.URLs `json:"unsubscribe"`
		Resources   message.URLs `json:"resources"`
		Resource    message.URLs `json:"resource"`
	}
	if err := m.Decode(&body); err != nil {
		return nil, err
	}
	all := append(append(append(body.Subscribe, body.Unsubscribe...), body.Resources...), body.Resource...)
	if len(all) == 0 || len(all) > 16 {
		return nil, &message.ResponseError{Code: message.CodeBadRequest, From: m.To, Description: "want subscribe: [<runtime>/registry/changes]"}
	}
	return all, nil
}

// addFollower runs in the loop.
func (r *Registry) addFollower(remote message.URL, m message.Message) {
	p := &r.publishing
	rem, ok := r.remotes.get(remote)
	switch {
	case !p.on:
		r.send(outgoing{m: m.Refuse(message.CodeForbidden, "registry changes are switched off in %s", r.opts.Runtime)})
		return
	case !ok || rem.conn == nil || !pending(rem.conn.state) && rem.conn.state != message.Live:
		r.send(outgoing{m: m.Refuse(message.CodeForbidden, "registry changes are for runtimes with a P2P connection")})
		return
	case p.followers[remote] == nil && len(p.followers) >= maxFollowers:
		r.send(outgoing{m: m.Refuse(message.CodeTooMany, "%d runtimes follow already", maxFollowers)})
		return
	}
	now := time.Now()
	if now.Sub(rem.listedAt) < listPause {
		r.send(outgoing{m: m.Refuse(message.CodeUnavailable, "the list was asked for a moment ago; try again")})
		return
	}
	rem.listedAt = now
	if p.followers[remote] == nil {
		p.followers[remote] = &follower{stop: r.opts.Bus.Forward(r.changes, remote)}
	}
	first, rest := cutList(r.publicLocals())
	r.send(outgoing{m: m.RespondBody(message.Encode(changesBody{Code: message.CodeOK, Value: first, Version: p.version}))})
	r.continueList(rest)
}

// dropFollower runs in the loop.
func (r *Registry) dropFollower(remote message.URL) {
	if f := r.publishing.followers[remote]; f != nil {
		delete(r.publishing.followers, remote)
		r.spawn(func(context.Context) { f.stop() })
	}
}

// expireFollower drops a follower unless it has a live connection again when the grace is over. It runs in the loop.
func (r *Registry) expireFollower(rem *remote) {
	if r.publishing.followers[rem.url] == nil {
		return
	}
	r.later(r.opts.ChangesGrace, func() {
		if rem.conn == nil || rem.conn.state != message.Live {
			r.dropFollower(rem.url)
		}
	})
}

// announce publishes that public addresses were added or removed. It runs in the loop.
func (r *Registry) announce(operation string, urls ...message.URL) {
	p := &r.publishing
	p.version++
	if len(p.followers) > 0 {
		r.send(r.update(operation, urls))
	}
}

func (r *Registry) update(operation string, urls []message.URL) outgoing {
	body := changesBody{Operation: operation, Value: urls, Version: r.publishing.version}
	return outgoing{update: true, m: message.Message{Type: message.Update, From: r.url, To: r.changes, Body: message.Encode(body)}}
}

// continueList publishes what a complete list had no room for.
func (r *Registry) continueList(rest []message.URL) {
	for len(rest) > 0 {
		var part []message.URL
		part, rest = cutList(rest)
		r.publishing.version++
		r.send(r.update(opAdd, part))
	}
}

// cutList cuts off what fits a message.
func cutList(urls []message.URL) (first, rest []message.URL) {
	size := 0
	for i, u := range urls {
		if size += len(u) + 4; size > maxListBytes {
			return urls[:i], urls[i:]
		}
	}
	return urls, nil
}

// publicLocals are the hyperties and data objects that others may know of; never nil. It runs in the loop.
func (r *Registry) publicLocals() []message.URL {
	urls := make([]message.URL, 0, r.locals.len())
	r.locals.each(0, shardCount, func(in *item[*local]) bool {
		if !in.value.private {
			urls = append(urls, in.key())
		}
		return true
	})
	return urls
}

// send queues a message. Of the answers to one follower only the last waits; when too many updates wait, one complete
// list takes their place. It runs in the loop.
func (r *Registry) send(o outgoing) {
	p := &r.publishing
	p.mu.Lock()
	if !o.update {
		p.queue = slices.DeleteFunc(p.queue, func(q outgoing) bool { return !q.update && q.m.To == o.m.To })
	}
	p.queue = append(p.queue, o)
	collapse := o.update && len(p.queue) > maxUpdates
	if collapse {
		p.queue = slices.DeleteFunc(p.queue, func(q outgoing) bool { return q.update })
	}
	p.mu.Unlock()
	if collapse {
		first, rest := cutList(r.publicLocals())
		p.mu.Lock()
		p.queue = append(p.queue, r.update("", first))
		p.mu.Unlock()
		r.continueList(rest)
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// publish posts what is queued, in order.
func (r *Registry) publish() {
	p := &r.publishing
	for {
		select {
		case <-p.wake:
		case <-r.ctx.Done():
			return
		}
		for {
			p.mu.Lock()
			if len(p.queue) == 0 {
				p.mu.Unlock()
				break
			}
			o := p.queue[0]
			p.queue = p.queue[1:]
			p.mu.Unlock()
			if !o.update { // what an update says that overtakes it waits at the follower for it
				r.opts.Bus.Reply(o.m)
				continue
			}
			bounded, cancel := context.WithTimeout(r.ctx, publishTimeout) // one that is lost leaves a gap, which heals
			r.post(bounded, o.m)
			cancel()
		}
	}
}

// SetChanges switches /registry/changes on or off while the Registry runs. Off: followers get no more updates and new
// ones are refused; this runtime unsubscribes from the others.
func (r *Registry) SetChanges(ctx context.Context, on bool) error {
	return r.ask(ctx, func() {
		r.publishing.on, r.following = on, on
		if !on {
			for remote := range r.publishing.followers {
				r.dropFollower(remote)
			}
		}
		r.remotes.each(0, shardCount, func(in *item[*remote]) bool {
			rem := in.value
			switch live := rem.conn != nil && rem.conn.state == message.Live; {
			case on && live:
				r.follow(rem)
			case !on && rem.follow.stop != nil:
				r.unsubscribe(rem, live)
			}
			return true
		})
	})
}
