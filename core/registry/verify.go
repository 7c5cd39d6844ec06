package registry

import (
	"context"
	"strings"
	"time"

	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/core/registry/nodes"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// Verify tells whether the runtime remote may post under the address from. It may under those of its own components, and
// those that it has listed on /registry/changes (its own word, sent inside its session). Under other addresses it may if
// their Domain Registry has an entry that it has signed. The Domain Registry is also asked about an address
//
//   - that another runtime has only claimed;
//   - that the runtime has only announced, and there is no direct connection with it, unless the Message Node is away;
//   - that may have moved to another runtime.
//
// An address that the runtime has given up lately counts as announced: messages from there may have waited in this runtime.
// Connection objects and private data objects are in no Domain Registry: each belongs to the first runtime that uses it. The
// error is a *message.ResponseError, or ctx's.
func (r *Registry) Verify(ctx context.Context, remoteURL, from message.URL) error {
	if err := r.TryVerify(remoteURL, from); err != message.ErrWouldBlock {
		return err
	}
	remoteURL = remoteURL.Canonical()
	key := directory.Key(from)
	a, known := r.directory.Find(key)
	lately, _ := r.lately(remoteURL, from, key, known)
	its := known && a.Runtime.URL() == remoteURL || lately
	if known && its && a.Leads() { // it was looked up meanwhile
		return nil
	}
	if its && r.nodeAway(ctx, key.NodeDomain()) {
		return nil
	}
	if err := r.refuseKnown(remoteURL, from, key, a, known); err != nil {
		return err
	}
	if key.Scheme() == message.SchemeConnection {
		return r.claim(ctx, remoteURL, key, directory.Used)
	}
	rt, err := r.lookUpFor(ctx, remoteURL, key, its)
	switch owner := disconnectedOwner(err); {
	case err == nil && rt.URL() == remoteURL:
		return nil
	case err == nil, owner != "" && owner != remoteURL:
		return r.forged(remoteURL, from, "another runtime's")
	case owner != "": // its node still considers it disconnected
		return r.claim(ctx, remoteURL, key, directory.Registered)
	case !isCode(err, message.CodeNotFound):
		return err
	case known && !its:
		return r.forged(remoteURL, from, "another runtime's")
	case key.Scheme() == message.SchemeHyperty:
		return r.forged(remoteURL, from, "not shown to be its own: "+err.Error())
	}
	return r.claim(ctx, remoteURL, key, directory.Used)
}

// TryVerify is Verify without waiting: where the loop or the Domain Registry would have to be asked, the error is
// [message.ErrWouldBlock].
func (r *Registry) TryVerify(remoteURL, from message.URL) error {
	remoteURL = remoteURL.Canonical()
	if from.IsRuntime() {
		if from.Runtime() == remoteURL {
			return nil
		}
		return r.forged(remoteURL, from, "another runtime's component")
	}
	if from.IsBackEnd() || from == message.SessionAddress {
		return r.forged(remoteURL, from, "a Message Node's function")
	}
	key := directory.Key(from)
	a, known := r.directory.Find(key)
	if known && a.Runtime.URL() == remoteURL {
		if a.Leads() {
			return nil
		}
		return message.ErrWouldBlock
	}
	if its, led := r.lately(remoteURL, from, key, known); its {
		if rt, ok := r.directory.Runtime(remoteURL); led || ok && rt.Way().Live() {
			return nil
		}
		return message.ErrWouldBlock
	}
	if err := r.refuseKnown(remoteURL, from, key, a, known); err != nil {
		return err
	}
	return message.ErrWouldBlock
}

// lately tells whether the runtime remote has given up the address lately, and nobody has it now. led: it led there until then. The
// Domain Registry, which has forgotten it, cannot be asked any more whose it was.
func (r *Registry) lately(remoteURL, from, key message.URL, known bool) (its, led bool) {
	if known || r.locals.has(from) {
		return false, false
	}
	return r.directory.Lately(key, remoteURL, time.Now())
}

// refuseKnown refuses an address that is known to belong to another runtime than remote.
func (r *Registry) refuseKnown(remoteURL, from, key message.URL, a directory.Address, known bool) error {
	switch {
	case r.locals.has(from):
		return r.forged(remoteURL, from, "of this runtime")
	case known && a.Runtime.URL() == remoteURL:
		return nil
	case key.Scheme() == message.SchemeConnection && known,
		known && a.Source == directory.Registered && r.beliefs.ReadLately(time.Now(), key):
		return r.forged(remoteURL, from, "another runtime's")
	}
	return nil
}

// lookUpFor asks the Domain Registry whose an address is that the runtime remote uses. isAnnounced: that runtime has
// announced it.
func (r *Registry) lookUpFor(ctx context.Context, remoteURL, key message.URL, isAnnounced bool) (*directory.Runtime, error) {
	if err := r.reserve(ctx, key.NodeDomain(), nodes.Theirs); err != nil && !isCode(err, message.CodeUnavailable) {
		return nil, err
	}
	leave, err := r.askers.Enter(ctx, remoteURL)
	if err != nil {
		return nil, err
	}
	defer leave()
	if isAnnounced {
		return r.lookUpAnnounced(ctx, key, true)
	}
	return r.lookUp(ctx, key, true)
}

// claim enters an address as the runtime remote's, which is the first to use it or is registered for it.
func (r *Registry) claim(ctx context.Context, remoteURL, key message.URL, from directory.Source) error {
	ok := false
	if err := r.ask(ctx, func() {
		if rt, kept := r.directory.Meet(remoteURL.Runtime()); kept {
			ok = r.learn(rt, key, from)
		}
	}); err != nil {
		return err
	}
	if !ok {
		return r.forged(remoteURL, key, "another runtime's, or one too many")
	}
	return nil
}

func (r *Registry) forged(who, from message.URL, whose string) error {
	return r.refuse(message.CodeForbidden, "%s may not post as %s: it is %s", who, from, whose)
}

// VerifyLocal tells whether the component owner of this runtime may post under the address from. The owner must be
// registered; a stub that was dropped counts until it has ended. from must be the owner's own address, or that of a data
// object that it reports. The core's own components may also post under all addresses of this runtime's hyperties and objects
// (the sync manager does). A Message Node's stub may post under the addresses of the node's functions, and under those of its
// domain but for the addresses of a runtime with a key or a P2P connection, and those that a runtime has claimed. The error
// is a *message.ResponseError.
func (r *Registry) VerifyLocal(owner, from message.URL) error {
	s, core, known := r.poster(owner)
	if !known {
		return r.refuse(message.CodeForbidden, "%s is not registered in this runtime", owner)
	}
	if from.Within(owner) {
		return nil
	}
	l, isLocal := r.locals.get(directory.Key(from))
	switch {
	case isLocal && l.reporter == owner.Canonical():
		return nil
	case isLocal && core:
		return nil
	case !isLocal && s != nil && s.Role == sdk.RoleNode && r.nodeMayPost(s, from):
		return nil
	}
	return r.forged(owner, from, "not its own, nor of an object that it reports")
}

// poster tells what a component of this runtime is that posts: a stub, one of the core's own, or else a hyperty.
func (r *Registry) poster(owner message.URL) (s *stub, core, known bool) {
	if l, ok := r.locals.get(owner); ok {
		return nil, false, l.reporter == ""
	}
	if !owner.Within(r.opts.Runtime) || r.locals.gone(owner) {
		return nil, false, false
	}
	if s, _ = r.stubs.of(owner); s == nil && isStubPath(owner) {
		return nil, false, false
	}
	return s, s == nil, true
}

// isStubPath tells whether u, a component of this runtime, has the form of a stub's address.
func isStubPath(u message.URL) bool {
	path := u.Path()
	return isSignalling(u) || strings.Contains(path, "/protostub/")
}

func (r *Registry) nodeMayPost(s *stub, from message.URL) bool {
	domain := from.NodeDomain()
	if domain == "" {
		domain = r.opts.Domain
	}
	if domain != s.Domain || from.Within(r.opts.Runtime) {
		return false
	}
	if from.IsBackEnd() {
		return true
	}
	key := directory.Key(from)
	a, ok := r.directory.Find(key)
	if ok && proof.KeyDerived(a.Runtime.URL()) {
		return false // such a runtime's messages come through its session
	}
	return !from.IsRuntime() && (!ok || a.Source == directory.Registered && a.Runtime.Way().Number == 0)
}
