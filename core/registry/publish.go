package registry

import (
	"context"
	"time"

	"github.com/protofly/protofly/core/registry/connections"
	"github.com/protofly/protofly/sdk/message"
)

// publishTimeout is how long posting an update may take. An update that is lost leaves a gap, which followers heal.
const publishTimeout = 10 * time.Second

// follower handles a subscription of a remote runtime to this one's /registry/changes, or the end of one. It runs in the
// loop.
func (r *Registry) follower(remote message.URL, m *message.Message) {
	if m.Type == message.Unsubscribe {
		if r.publisher.Unsubscribe(remote, m) {
			r.endForward(remote)
		}
		return
	}
	rt, ok := r.directory.Runtime(remote)
	connected := ok && (connections.Pending(rt.Way().State) || rt.Way().State == message.Live)
	if !r.publisher.Admit(time.Now(), remote, m, connected) {
		return
	}
	if r.forwards[remote] == nil { // before the list is sent: updates may continue it
		r.forwards[remote] = r.call.Forward(r.changes, remote)
	}
	r.publisher.Answer(m)
}

// endFollower drops a follower with its connection, unless there is another live one: what is published would wait for a runtime
// that may have gone. When there is a connection again it subscribes again. It runs in the loop.
func (r *Registry) endFollower(remote message.URL) {
	if rt, ok := r.directory.Runtime(remote); (!ok || !rt.Way().Live()) && r.publisher.Drop(remote) {
		r.endForward(remote)
	}
}

// endForward ends the forwarding of updates to a follower. It runs in the loop.
func (r *Registry) endForward(remote message.URL) {
	if stop := r.forwards[remote]; stop != nil {
		delete(r.forwards, remote)
		r.loop.Go(func(context.Context) { stop() })
	}
}

// publish posts the messages of the outbox, in order.
func (r *Registry) publish(ctx context.Context) {
	for {
		select {
		case <-r.outbox.Wake():
		case <-ctx.Done():
			return
		}
		for m, update, ok := r.outbox.Take(); ok; m, update, ok = r.outbox.Take() {
			if !update { // Reply does not wait: an update that overtakes the answer waits at the follower for it
				r.call.Reply(m)
				continue
			}
			bounded, cancel := context.WithTimeout(ctx, publishTimeout)
			r.call.post(bounded, m)
			cancel()
		}
	}
}

// SetChanges switches /registry/changes on or off while the Registry runs. Off: followers get no more updates and new
// ones are refused; this runtime unsubscribes from the others.
func (r *Registry) SetChanges(ctx context.Context, on bool) error {
	return r.ask(ctx, func() {
		for _, remote := range r.publisher.Switch(on) {
			r.endForward(remote)
		}
		r.setFollowing(on)
	})
}
