package registry

import (
	"context"
	"time"

	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/core/registry/nodes"
	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/sdk/message"
)

// announcedTime is how long after its announcement an address may not be registered yet.
const announcedTime = 3 * time.Second

// Announced takes what the runtime remote says inside its session of addresses that its next messages are from: that they
// are its own. It is a claim, as its list on /registry/changes is, see [Registry.Verify]: it takes no address that is known
// as another's, or of this runtime. When it returns messages from there need no look-up.
//
// Messages to an address that is only announced go there over a live P2P connection, as to one that is listed. Else they
// leave by a Message Node, and then its Domain Registry can be asked as well: so it is, and at once, in the background. What
// it says comes first; where nobody is registered there, or somebody else who is disconnected, the claim is forgotten.
func (r *Registry) Announced(ctx context.Context, remoteURL message.URL, addresses []message.URL) {
	remoteURL = remoteURL.Canonical()
	var doubted []message.URL
	err := r.ask(ctx, func() {
		rt, kept := r.directory.Meet(remoteURL.Runtime())
		if !kept {
			return
		}
		for _, u := range addresses {
			key := directory.Key(u)
			if key.IsRuntime() || key.IsBackEnd() || key.Scheme() == message.SchemeConnection || r.locals.has(key) {
				continue
			}
			if _, known := r.directory.Find(key); r.learn(rt, key, directory.Announced) && !known && !rt.Way().Live() {
				doubted = append(doubted, key)
			}
		}
	})
	if err != nil {
		return
	}
	for _, key := range doubted {
		r.confirm(remoteURL, key)
	}
}

// Ended takes what the runtime remote says inside its session of addresses that it has given up; see [Registry.Announced].
func (r *Registry) Ended(ctx context.Context, remoteURL message.URL, addresses []message.URL) {
	_ = r.ask(ctx, func() { // an error: this runtime ends
		if rt, known := r.directory.Runtime(remoteURL.Canonical()); known {
			for _, u := range addresses {
				r.giveUp(rt, directory.Key(u))
			}
		}
	})
}

// confirm asks the Domain Registry of an address that a runtime has announced, in the background, where its node is used
// already and not too many look-ups go on.
func (r *Registry) confirm(remoteURL, key message.URL) {
	if _, runs := r.nodes.Now(key.NodeDomain(), nodes.Theirs); r.lookups.Busy() || !runs || !r.askers.Pace.Allow(time.Now(), remoteURL) {
		return
	}
	r.loop.Go(func(ctx context.Context) {
		_, err := r.lookUp(ctx, key, true)
		if isUnknown(err) && backoff.Sleep(ctx, announcedTime) {
			_, err = r.lookUp(ctx, key, true)
		}
		if owner := disconnectedOwner(err); ctx.Err() != nil || owner == remoteURL || owner == "" && !isCode(err, message.CodeNotFound) {
			return
		}
		r.loop.Do(func() {
			if a, ok := r.directory.Find(key); ok && a.Source == directory.Announced && a.Runtime.URL() == remoteURL && !a.Leads() {
				r.opts.Log.Debug("announced address forgotten: it is not registered as its own", "address", key, "runtime", remoteURL)
				r.directory.Forget(key)
			}
		})
	})
}

// lookUpAnnounced is lookUp for an address that a runtime has announced: it may have been registered a moment ago, by a
// runtime whose node has just come back, so whoever does not find it looks again. Who sends from there waits for that.
func (r *Registry) lookUpAnnounced(ctx context.Context, key message.URL, anew bool) (*directory.Runtime, error) {
	for wait := announcedTime / 15; ; wait *= 2 {
		rt, err := r.lookUp(ctx, key, anew)
		again := isCode(err, message.CodeTooMany) || isUnknown(err) && key.Scheme() == message.SchemeHyperty
		if !again || wait > announcedTime*8/15 {
			return rt, err
		}
		if !backoff.Sleep(ctx, wait) {
			return nil, ctx.Err()
		}
	}
}
