package p2p

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// handler is a P2P Handler: any number of peers, one connection with each.
type handler struct {
	*instance
	ctx  context.Context // of the instance
	work sync.WaitGroup  // the peers' goroutines

	mu       sync.Mutex
	peers    map[message.URL]*peer    // by remote runtime, canonical
	consents map[message.URL]*consent // the newest invitation of each that the registry has not answered yet
	all      int                      // peers that have not ended, replaced ones among them
	setups   int                      // of them, those in set-up
	conducts conducts                 // of remote runtimes
	closed   bool
}

// lockedHandler is a handler whose mu is locked.
type lockedHandler handler

// consent is the registry's answer, for which an invitation waits.
type consent struct{ answered chan struct{} }

// peer is one connection of a Handler, from the invitation to the end.
type peer struct {
	remote message.URL
	ctx    context.Context
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when its channel and door have been closed
	doors  chan sdk.Door // from the registry's subscribe to the pump; has room for the one
	older  *peer         // that it replaces at once, or nil
	taken  chan struct{} // closed when the invitation is answered
	told   chan struct{} // closed when the last status is posted

	// Guarded by the handler's lock.
	kept     *peer // the live one that goes on until this one is live, or nil
	live     bool
	replaced bool        // by a newer one: no status of this one is posted any more
	ending   bool        // its last status is being posted: no newer one is announced before
	door     message.URL // the door that was opened
}

// runHandler runs until ctx ends.
func runHandler(ctx context.Context, i *instance) error {
	h := &handler{instance: i, ctx: ctx, peers: make(map[message.URL]*peer), consents: make(map[message.URL]*consent)}
	stop := h.control(h.command)
	h.onInvite(h.invited)
	<-ctx.Done()
	stop()
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.work.Wait()
	return nil
}

// invited takes an invitation: checks it, has the registry consent, and starts the connection.
func (h *handler) invited(ctx context.Context, inv syncher.Invitation) {
	remote, err := h.checkInvitation(inv)
	if err == nil {
		err = h.admit(remote)
	}
	if err != nil {
		h.answer(ctx, inv, err)
		return
	}
	c := h.announce(remote)
	keep, err := h.askCreated(h.ctx, inv.Runtime)
	p, err := h.accept(inv, remote, c, keep, err)
	h.answer(ctx, inv, err)
	if p != nil {
		close(p.taken)
	}
}

// announce notes that the registry is about to be asked. It first waits for an older connection that is ending: the
// statuses of the two must not mix.
func (h *handler) announce(remote message.URL) *consent {
	c := &consent{answered: make(chan struct{})}
	h.mu.Lock()
	defer h.mu.Unlock()
	for p := h.peers[remote]; p != nil && p.ending; p = h.peers[remote] {
		h.mu.Unlock()
		<-p.told
		h.mu.Lock()
	}
	h.consents[remote] = c
	return c
}

// accept starts the connection that an invitation asks for, if the registry consents (err is nil) and no newer
// invitation has come. An older connection with the same runtime is replaced: at once, because that runtime has lost it,
// or, where the registry says keep, when the new one is live.
func (h *handler) accept(inv syncher.Invitation, remote message.URL, c *consent, keep bool, err error) (*peer, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer close(c.answered)
	newest := h.consents[remote] == c
	if newest {
		delete(h.consents, remote)
	}
	if err != nil {
		h.conducts.refund(remote, time.Now())
	} else if !newest {
		err = refuse(message.CodeConflict, "a newer invitation has come")
	}
	if err == nil && h.closed {
		err = refuse(message.CodeUnavailable, "this Handler is ending")
	}
	if err != nil {
		h.setups--
		h.all--
		return nil, err
	}
	p := &peer{
		remote: inv.Runtime,
		done:   make(chan struct{}), doors: make(chan sdk.Door, 1), taken: make(chan struct{}), told: make(chan struct{}),
	}
	p.ctx, p.cancel = context.WithCancelCause(h.ctx)
	(*lockedHandler)(h).succeed(p, h.peers[remote], keep)
	h.peers[remote] = p
	h.work.Go(func() { h.connection(p, remote, inv) })
	return p, nil
}

// succeed ends the connection that a new one replaces, or keeps it until the new one is live.
func (h *lockedHandler) succeed(p, current *peer, keep bool) {
	if current == nil {
		return
	}
	if keep && current.live {
		p.kept = current
		return
	}
	if keep {
		p.kept, current.kept = current.kept, nil
	}
	h.replace(current)
	p.older = current
}

// replace ends a connection, and the one that was kept for it. No status of them is posted.
func (h *lockedHandler) replace(p *peer) {
	if p.kept != nil {
		h.replace(p.kept)
	}
	p.replaced = true
	p.cancel(errReplaced)
}

// takeOver is called when a connection is live. No status of the one that was kept until then is posted any more. The other
// side closes that one when it has moved its frames; after keepTime it is closed here.
func (h *lockedHandler) takeOver(p *peer) {
	kept := p.kept
	if p.kept = nil; kept == nil {
		return
	}
	kept.replaced = true
	h.work.Go(func() {
		late := time.NewTimer(keepTime)
		defer late.Stop()
		select {
		case <-late.C:
			kept.cancel(errReplaced)
		case <-kept.done:
		}
	})
}

// admit counts a set-up in. The error says that there are too many, or that the runtime has to wait.
func (h *handler) admit(remote message.URL) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if left := h.conducts.punished(remote, now); left > 0 {
		return refuse(message.CodeTooMany, "%s broke the protocol of an earlier connection: no other one is made in the next %d s", remote, int(left/time.Second)+1)
	}
	if h.setups >= maxSetups || h.all >= maxPeers {
		return refuse(message.CodeTooMany, "this Handler has %d peers, %d of them in set-up: no more are taken", h.all, h.setups)
	}
	if left := h.conducts.begin(remote, now); left > 0 {
		return refuse(message.CodeTooMany, "%s has begun too many connections: no other one is made in the next %d s", remote, int(left/time.Second)+1)
	}
	h.setups++
	h.all++
	return nil
}

// connection sets one connection up. The live connection has a goroutine of its own: a set-up takes a large stack, and a
// connection may live for long and do little.
func (h *handler) connection(p *peer, key message.URL, inv syncher.Invitation) {
	<-p.taken
	if p.older != nil {
		<-p.older.done
		p.older = nil
	}
	s := h.begin(p.ctx, p.remote, inv.Reporter, Handler)
	channel, err := h.respond(p, s, inv)
	err = s.end(err)
	h.mu.Lock()
	h.setups--
	if p.live = err == nil; p.live {
		h.conducts.refund(key, time.Now())
		(*lockedHandler)(h).takeOver(p)
	}
	h.mu.Unlock()
	if err == nil {
		h.post(p.ctx, message.Live, p.remote, nil)
	}
	objects := s.objects
	h.work.Go(func() { h.carry(p, key, channel, err, objects) })
}

// carry runs a connection from the end of its set-up to its own end. If err is not nil, the set-up has failed.
func (h *handler) carry(p *peer, key message.URL, channel Channel, err error, o objects) {
	defer p.cancel(nil)
	status := message.Failed
	if err == nil {
		err, status = pump(p.ctx, p.doors, channel), message.Disconnected
	}
	close(p.done)
	h.finish(p, key, status, err)
	o.forget()
}

// respond is the Handler's side of a set-up (specification, "P2P connection set-up", order on the wire).
func (h *handler) respond(p *peer, s *setup, inv syncher.Invitation) (Channel, error) {
	if _, err := s.observe(inv.URL); err != nil {
		return nil, err
	}
	if err := s.report(inv.URL); err != nil {
		return nil, err
	}
	s.connect()
	if err := s.offered(); err != nil {
		return nil, err
	}
	h.post(p.ctx, message.InProgress, p.remote, nil)
	if err := s.mine.Invite(s.ctx, inv.Reporter); err != nil {
		return nil, err
	}
	return s.proven()
}

// finish posts the last status of a connection, unless a newer one has replaced it, and takes it out of the table.
// While the registry is being asked for a newer one it waits.
func (h *handler) finish(p *peer, key message.URL, status message.Status, why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p.live = false
	if errors.Is(why, ErrBroken) {
		h.conducts.punish(key, time.Now())
	}
	for c := h.consents[key]; c != nil && h.ctx.Err() == nil; c = h.consents[key] {
		h.mu.Unlock()
		select {
		case <-c.answered:
		case <-h.ctx.Done():
		}
		h.mu.Lock()
	}
	p.ending = true
	if !p.replaced {
		h.mu.Unlock()
		h.post(h.ctx, status, p.remote, why)
		h.mu.Lock()
	}
	h.all--
	if h.peers[key] == p {
		delete(h.peers, key)
		if p.kept != nil && p.kept.live { // the new one has failed
			h.peers[key] = p.kept
		}
	}
	select {
	case door := <-p.doors: // it came too late
		_ = door.Close()
	default:
	}
	close(p.told)
}

// command does what the registry asks for.
func (h *handler) command(c command) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peers[c.Target.Canonical()]
	switch {
	case c.Method == "disconnect":
		for ; p != nil; p = p.kept {
			p.cancel(errGivenUp)
		}
		return nil
	case c.Method != "":
		return refuse(message.CodeBadRequest, "a Handler does not connect: it waits for invitations")
	case p == nil || !p.live:
		return refuse(message.CodeNotFound, "there is no live connection with %s", c.Target)
	case !c.Door.Within(h.start.URL) || c.Door.Canonical() == h.start.URL.Canonical():
		return refuse(message.CodeBadRequest, "the address of a connection is below %s, not %s", h.start.URL, c.Door)
	case p.door == c.Door:
		return nil
	case p.door != "":
		return refuse(message.CodeConflict, "the connection with %s has the door %s already", c.Target, p.door)
	}
	door, err := h.start.Doors.Open(c.Door)
	if err != nil {
		return refuse(message.CodeError, "opening the door %s: %v", c.Door, err)
	}
	p.door = c.Door
	p.doors <- door
	return nil
}
