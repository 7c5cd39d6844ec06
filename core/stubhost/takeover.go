package stubhost

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

const (
	settleTime = 2 * time.Second // for the set-ups of a Handler to end before it is taken over from
	quietTime  = time.Second     // a stub that answers no probe and has run so long counts as started
	lookPause  = 20 * time.Millisecond
	maxAsked   = 1 << 12
)

// probeNumber is the ID of the probe to a run that is to take over. A stub's own requests count from below it.
const probeNumber = 1<<64 - 1

// takeOver starts a run of the instance in proc and lets it take over from the one that runs elsewhere, which goes on
// beside it: a Handler's with the connections that it has, a Message Node stub's until it has been told to end. Where
// it returns an error nothing has changed. ok is false without one where there is nothing to take over from.
func (i *instance) takeOver(ctx context.Context, proc *process) (ok bool, err error) {
	i.settle(ctx)
	i.mu.Lock()
	old := i.current
	if old == nil || i.leaving || old.proc == proc || i.older != nil || !old.hasStarted() {
		i.mu.Unlock()
		return false, nil
	}
	r := proc.start(i, false)
	i.next, i.asked = r, map[message.ID]struct{}{}
	r.pumpInBackground()
	i.mu.Unlock()
	err = i.awaitReady(ctx, r, old)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.next = nil
	if err == nil && i.current == old && !i.leaving {
		i.older = old
		i.set(r)
		i.moved <- r
		i.host.wg.Go(func() { i.introduce(r) })
		return true, nil
	}
	i.asked = nil
	i.host.wg.Go(func() { i.discard(r) })
	return false, err
}

// settle waits, for a while, until nothing is left of an earlier takeover, and for a moment without set-ups of a
// Handler: those that go on when the next run takes over may fail.
func (i *instance) settle(ctx context.Context) {
	late := time.NewTimer(settleTime)
	defer late.Stop()
	look := time.NewTicker(lookPause)
	defer look.Stop()
	for {
		i.mu.Lock()
		r, older := i.current, i.older
		i.mu.Unlock()
		if r == nil {
			return
		}
		if _, pending := r.status.peers(); older == nil && (pending == 0 || i.Role != sdk.RoleHandler) {
			return
		}
		select {
		case <-look.C:
		case <-late.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// awaitReady waits until a run that is to take over is fit to: it listens, and a Message Node's stub is connected, if
// the one that it is to replace is.
func (i *instance) awaitReady(ctx context.Context, r, old *incarnation) error {
	bounded, cancel := context.WithTimeout(ctx, i.host.o.StartTimeout)
	defer cancel()
	var quiet <-chan time.Time
	started := r.started
	for {
		select {
		case <-started:
			started = nil
			if i.Role == sdk.RoleNode && old.status.of("") == message.Live {
				continue
			}
			timer := time.NewTimer(quietTime)
			defer timer.Stop()
			quiet = timer.C
			probe := message.Message{ID: message.NumberID(probeNumber), Type: message.Read, From: i.Runtime.Join("registry"), To: i.URL.Join("ready")}
			_ = r.lane.Send(bounded, sdk.Frame{Payload: probe.AppendBinary(nil)}) // an error has its own case here
		case <-r.ready:
			return nil
		case <-quiet:
			return nil
		case <-r.ended:
			return fmt.Errorf("stub %s does not start in the new process: %w", i.URL, r.reason())
		case <-bounded.Done():
			if i.Role == sdk.RoleNode && old.status.of("") != message.Live {
				return nil // neither of them reaches the node
			}
			return fmt.Errorf("stub %s is not ready in the new process: %w", i.URL, bounded.Err())
		}
	}
}

// introduce tells the core what a run that has taken over has said of itself, which was held back until then.
func (i *instance) introduce(r *incarnation) {
	if own := r.status.of(""); own != 0 {
		i.say(r, statusBody{Value: own})
	}
}

// discard ends a run that does not take over.
func (i *instance) discard(r *incarnation) {
	r.end(i.host.o.StopGrace)
	_ = r.putAway()
	<-r.pumped
}

// drain waits until a run has ended that was taken over from, and says what it no longer can.
func (i *instance) drain(r *incarnation) {
	<-r.pumped
	err := r.putAway()
	i.standIn(r, err)
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.older == r {
		i.older, i.asked = nil, nil
	}
}

// pass notes what a run posts, and tells whether it is for the core. While there are two runs they speak with one
// voice: of a peer that both have known, the younger one's word counts once it has a connection with it; until then
// only the end of the older one's connection is told too.
func (i *instance) pass(r *incarnation, m *message.Message) bool {
	b, status := r.status.see(m)
	if status {
		shorten(m)
	}
	i.mu.Lock()
	next, current, older := i.next, i.current, i.older
	if r == next || r == current && older != nil {
		if isProbe(m) {
			i.mu.Unlock()
			r.becomeReady()
			return false
		}
		if m.Type != message.Response && len(i.asked) < maxAsked {
			i.asked[m.ID.Key()] = struct{}{}
		}
	}
	i.mu.Unlock()
	switch {
	case isProbe(m):
		return false // it comes late
	case !status:
		return true
	case r == next && b.Resource == "":
		if b.Value == message.Live {
			r.becomeReady()
		}
		return false
	case r == older && b.Resource == "":
		return false // the stub goes on
	case r == older && current != nil:
		switch younger := current.status.of(b.Resource); younger {
		case 0:
			return true
		case message.Live:
			return false
		default:
			return b.Value == message.Disconnected
		}
	}
	return true
}

// receivers is for which of two runs a message to the stub is, and which one it is for too. mu is held.
func (i *instance) receivers(m *message.Message) (to, also *incarnation) {
	younger, elder := i.next, i.current
	if younger == nil {
		younger, elder = i.current, i.older
	}
	switch {
	case younger == nil || elder == nil:
		return i.current, nil
	case m.Type == message.Response:
		if _, asked := i.asked[m.ID.Key()]; asked {
			return younger, nil
		}
		return elder, nil
	case i.Role == sdk.RoleHandler && (m.Type == message.Update || m.Type == message.Delete):
		return younger, elder // of a data object: the one that knows it takes it
	case i.Role == sdk.RoleHandler && (m.Type == message.Subscribe || m.Type == message.Execute):
		if peer := peerOf(m); elder.status.of(peer) != 0 && younger.status.of(peer) == 0 {
			return elder, nil
		}
	}
	return i.current, nil
}

// isProbe tells whether m is the answer to a probe.
func isProbe(m *message.Message) bool {
	return m.Type == message.Response && m.ID.Key() == message.NumberID(probeNumber).Key()
}

// peerOf is the remote runtime that a command to a Handler is about, or "".
func peerOf(m *message.Message) message.URL {
	var body struct {
		Peer   message.URL   `json:"peer"`
		Params []message.URL `json:"params"`
	}
	if m.Decode(&body) != nil {
		return ""
	}
	if body.Peer == "" && len(body.Params) == 1 {
		body.Peer = body.Params[0]
	}
	return body.Peer
}

// becomeReady notes that a run is fit to take over.
func (r *incarnation) becomeReady() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.isReady {
		r.isReady = true
		close(r.ready)
	}
}

// hasStarted tells whether the plug-in has said that the run has begun.
func (r *incarnation) hasStarted() bool {
	select {
	case <-r.started:
		return true
	default:
		return false
	}
}

// reason is why a run has ended.
func (r *incarnation) reason() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == "" {
		return errors.New("it returned, or its process ended")
	}
	return errors.New(r.err)
}

// end asks a run to end and waits for it, but not for longer than the grace.
func (r *incarnation) end(grace time.Duration) {
	r.askToEnd()
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case <-r.ended:
	case <-late.C:
	}
}
