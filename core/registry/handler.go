package registry

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// handlerCreated is a Handler's "new P2P connection" event: the remote runtime wants to connect. The entry is made at
// once, so that the Handler's own signalling starts no second set-up, and the Handler is answered: 200, or 409 where
// this side's own request goes on. It runs in the loop.
func (r *Registry) handlerCreated(s *stub, ev statusEvent, m message.Message) {
	answer := func(response message.Message) {
		r.opts.Bus.Reply(response)
	}
	if ev.Resource == r.opts.Runtime {
		answer(m.Refuse(message.CodeBadRequest, "a P2P connection of a runtime with itself"))
		return
	}
	rem, kept := r.meet(ev.Resource)
	if !kept {
		answer(m.Refuse(message.CodeTooMany, "%d remote runtimes are known already", r.opts.MaxRemotes))
		return
	}
	if r.keepsOwn(rem) {
		answer(m.Refuse(message.CodeConflict, "both sides requested at once: %s keeps its own request", r.opts.Runtime))
		return
	}
	if r.keeps(rem, s) {
		r.dropNext(rem)
		rem.next, rem.keepTill = r.entry(rem, sdk.RoleHandler, s.Plugin, s.URL), time.Time{}
		r.shown(rem.next)
		answer(m.Respond(message.CodeOK, map[string]bool{"keep": true}))
		return
	}
	if old := rem.conn; old != nil && old.role == sdk.RoleRequester {
		r.dropStub(old.stub, true)
	} else if old != nil && old.stub != s.URL && (pending(old.state) || old.state == message.Live) {
		r.tell(old.stub, "disconnect", rem.url) // the peer comes with another transport now
	}
	r.newConnection(rem, sdk.RoleHandler, s.Plugin, s.URL)
	answer(m.Respond(message.CodeOK, nil))
}

// keepsOwn decides glare: while this side's own request to rem goes on, the lower runtime URL stays requester. For a
// moment after the own request has succeeded, the other side's, which was made before, may still arrive.
func (r *Registry) keepsOwn(rem *remote) bool {
	c := rem.conn
	if c == nil || c.role != sdk.RoleRequester || r.opts.Runtime > rem.url {
		return false
	}
	return pending(c.state) || c.state == message.Live && time.Since(c.since) < glareTail
}

// complete does the specification's "P2P connection registration for the Handler" when a Handler is live: the
// Registry generates the p2p-connectionUrl (step 2), adds a listener for it to the MessageBus (3), subscribes it at the
// Handler (4 to 6), and only then has the connection live (7). It runs in the loop.
func (r *Registry) complete(c *connection) {
	if c.completing || !mayMove(c.state, message.Live) {
		if !c.completing {
			r.move(c, message.Live, "") // refused, and said so
		}
		return
	}
	c.completing = true
	door := c.stub.Join(strings.ToLower(rand.Text()))
	r.opts.Trace.Emit(trace.Event{Kind: trace.Door, From: c.stub, Via: door, Peer: c.remote.url})
	c.stopDoor = r.opts.Bus.Listen(door, func(ctx context.Context, m message.Message) { r.atDoor(ctx, c.stub, m) })
	r.opts.Trace.Emit(trace.Event{Kind: trace.Listener, To: door, Via: c.stub, Peer: c.remote.url})
	subscribe := message.Message{Type: message.Subscribe, From: r.url, To: c.stub, Source: c.stub,
		Body: message.Encode(map[string]any{"subscribe": []message.URL{door}, "peer": c.remote.url})}
	r.spawn(func(ctx context.Context) {
		bounded, cancel := context.WithTimeout(ctx, r.opts.SetupTimeout)
		defer cancel()
		response, err := r.opts.Bus.Request(bounded, subscribe)
		if err == nil {
			_, err = response.OK()
		}
		r.do(func() {
			switch {
			case !c.in(c.remote) || !c.completing: // replaced, failed or ended meanwhile
			case err != nil:
				r.fail(c, "the Handler did not open the door: "+err.Error())
			default:
				c.completing, c.door = false, door
				r.promote(c)
				r.move(c, message.Live, "")
				r.live(c)
			}
		})
	})
}

// atDoor gives a message that is addressed to a door itself to the Handler's sandbox.
func (r *Registry) atDoor(ctx context.Context, handler message.URL, m message.Message) {
	if r.opts.Sandbox == nil {
		if m.Type != message.Response {
			r.opts.Bus.Reply(m.Refuse(message.CodeNotFound, "%s takes no messages of its own", m.To))
		}
		return
	}
	if err := r.opts.Sandbox(ctx, handler, m); err != nil && ctx.Err() == nil {
		r.opts.Log.Warn("message to a door not delivered", "door", m.To, "error", err)
	}
}
