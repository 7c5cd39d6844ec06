package registry

import (
	"context"
	"time"

	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/core/registry/nodes"
	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/sdk/message"
)

// announcedTime is how long an announced address may take until its Domain Registry has an entry of it.
const announcedTime = 3 * time.Second

// Announced enters the addresses that the runtime remote has announced inside its session, as those that its next messages
// are from. An announcement is a claim, as a list on /registry/changes is, see [Registry.Verify]: it has no effect on an
// address that is known as another runtime's or this one's. When Announced returns, messages from the addresses need no
// look-up.
//
// Messages to an address that is only announced go to the runtime over a live P2P connection, as those to a listed address
// do. Without a connection they leave by a Message Node, whose Domain Registry can be asked too: Announced has it asked at
// once, in the background. Its answer counts for more than the claim: where nobody is registered at the address, or another
// runtime is and is disconnected, the claim is forgotten.
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

// Ended forgets the addresses that the runtime remote has given up, as it says inside its session; see [Registry.Announced].
func (r *Registry) Ended(ctx context.Context, remoteURL message.URL, addresses []message.URL) {
	_ = r.ask(ctx, func() { // the only error is that this runtime ends
		if rt, known := r.directory.Runtime(remoteURL.Canonical()); known {
			for _, u := range addresses {
				r.giveUp(rt, directory.Key(u))
			}
		}
	})
}

// confirm asks the Domain Registry about an address that a runtime has announced, in the background. It does so only where
// the stub of that Message Node runs already and not too many look-ups go on.
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

// lookUpAnnounced is lookUp for an address that a runtime has announced. The runtime may have registered it a moment ago,
// when its node came back: so a look-up that finds no entry is repeated a few times. Messages from the address wait for that.
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
