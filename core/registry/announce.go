package registry

import (
	"context"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// maxAllAnnounced is how many times what one runtime may announce all of them may, that have no P2P connection.
const maxAllAnnounced = 16

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
	var doubted []message.URL
	err := r.ask(ctx, func() {
		rem, kept := r.meet(remoteURL.Canonical())
		if !kept {
			return
		}
		for _, u := range addresses {
			key := addressKey(u)
			if key.IsRuntime() || key.IsBackEnd() || key.Scheme() == message.SchemeConnection || r.isLocal(key) {
				continue
			}
			if _, known := r.addresses.get(key); r.learn(rem, key, announced) && !known && rem.way.Load().direct.Door == "" {
				doubted = append(doubted, key)
			}
		}
	})
	if err != nil {
		return
	}
	for _, key := range doubted {
		r.confirm(remoteURL.Canonical(), key)
	}
}

// confirm asks the Domain Registry of an address that a runtime has announced, in the background, where its node is used
// already and not too many look-ups go on.
func (r *Registry) confirm(remoteURL, key message.URL) {
	r.lookups.mu.Lock()
	busy := len(r.lookups.flights) >= r.opts.MaxLookups/2
	r.lookups.mu.Unlock()
	if _, runs := r.nodeNow(key.NodeDomain(), theirs); busy || !runs || !r.askers.mayConfirm(remoteURL) {
		return
	}
	r.spawn(func(ctx context.Context) {
		_, err := r.lookUp(ctx, key, true)
		if isCode(err, message.CodeNotFound) && pause(ctx, announcedTime) {
			_, err = r.lookUp(ctx, key, true)
		}
		if owner := disconnectedOwner(err); ctx.Err() != nil || !isCode(err, message.CodeNotFound) && (owner == "" || owner == remoteURL) {
			return
		}
		r.do(func() {
			if a, ok := r.addresses.get(key); ok && a.source == announced && a.remote.url == remoteURL && a.remote.way.Load().direct.Door == "" {
				r.opts.Log.Debug("announced address forgotten: it is not registered as its own", "address", key, "runtime", remoteURL)
				r.forget(key)
			}
		})
	})
}

// lookUpAnnounced is lookUp for an address that a runtime has announced: it may have been registered a moment ago, by a
// runtime whose node has just come back, so who does not find it looks again. Who sends from there waits for that.
func (r *Registry) lookUpAnnounced(ctx context.Context, key message.URL, anew bool) (*remote, error) {
	for wait := announcedTime / 15; ; wait *= 2 {
		rem, err := r.lookUp(ctx, key, anew)
		again := isCode(err, message.CodeTooMany) || isCode(err, message.CodeNotFound) && key.Scheme() == message.SchemeHyperty
		if !again || wait > announcedTime*8/15 {
			return rem, err
		}
		if !pause(ctx, wait) {
			return nil, ctx.Err()
		}
	}
}

// pause is false where ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// leads tells whether messages to the address may go where it is known to be without another look at the Domain Registry.
func (a *address) leads() bool {
	return a.source != announced || a.remote.way.Load().direct.Door != ""
}

// roomToAnnounce tells whether rem may announce one more address, of those that it may claim. It runs in the loop.
func (r *Registry) roomToAnnounce(rem *remote) bool {
	if rem.way.Load().direct.Door != "" {
		return rem.refs < r.opts.MaxListed
	}
	return rem.refs < r.opts.MaxAnnounced && r.announcements < maxAllAnnounced*r.opts.MaxAnnounced && r.addresses.len() < r.opts.MaxAddresses
}
