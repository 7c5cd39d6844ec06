package registry

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// What one Registry has another one do (specification, "execute"): only about the connection between the two.
const (
	methodRenew = "renew" // to the requester's: set the connection up again, and keep the live one until then
	methodKeep  = "keep"  // to the handler's: the next invitation renews the connection, so keep the live one until then
)

const (
	// retireAfter is between the new connection's live and the closing of the old one: the other side's may be live a
	// little later, and until then it sends by the old one.
	retireAfter = time.Second
	forgetAfter = 700 * time.Millisecond // between that and the end of its Requester
	maxRenewals = 3                      // tries
)

// Renew has every P2P connection over a plug-in set up again, because the process that carries them is to end. A live
// one carries messages until its successor is live. It does not wait.
func (r *Registry) Renew(plugin string) {
	r.do(func() {
		r.remotes.each(0, shardCount, func(in *item[*remote]) bool {
			if c := in.value.conn; c != nil && c.plugin == plugin {
				r.renew(c)
			}
			return true
		})
	})
}

// renew sets a connection up again beside it; one that is being set up, when it is live. The side that requested it
// does so again: no glare can come of it, and what worked in that direction before is likely to work again. It runs
// in the loop.
func (r *Registry) renew(c *connection) {
	rem := c.remote
	switch {
	case pending(c.state):
		c.renew = true
	case c.state != message.Live:
	case c.role == sdk.RoleHandler:
		r.spawn(func(ctx context.Context) {
			if _, err := r.request(ctx, message.Execute, rem.url.Join("registry"), executeBody{Method: methodRenew}, r.opts.LookupTimeout); err != nil && ctx.Err() == nil {
				r.opts.Log.Warn("the other side does not renew the connection; it will break and be set up again", "runtime", rem.url, "error", err)
			}
		})
	case rem.next != nil:
		rem.next.renew = true // it may have been made before there was a reason to
	default:
		r.beside(c)
	}
}

// beside sets up the successor of a live connection. It runs in the loop.
func (r *Registry) beside(c *connection) {
	rem := c.remote
	stubURL := r.opts.Runtime.Join("p2prequester", strings.ToLower(rand.Text()))
	n := r.entry(rem, sdk.RoleRequester, c.plugin, stubURL)
	n.handler = c.handler
	rem.next = n
	s := r.addStub(Stub{URL: stubURL, Role: sdk.RoleRequester, Plugin: c.plugin, Remote: rem.url}, message.Created)
	s.conn = n
	r.shown(n)
	r.spawn(func(ctx context.Context) {
		// Where it does not say yes the invitation is like any other, and the connection breaks before it is new.
		if _, err := r.request(ctx, message.Execute, rem.url.Join("registry"), executeBody{Method: methodKeep}, r.opts.LookupTimeout); err != nil && ctx.Err() == nil {
			r.opts.Log.Info("the other side does not keep the connection while it is renewed", "runtime", rem.url, "error", err)
		}
		r.do(func() {
			if !n.in(rem) {
				return
			}
			d := Deployment{URL: stubURL, Role: sdk.RoleRequester, Plugin: n.plugin, Domain: rem.url.NodeDomain(), Remote: rem.url, Handler: n.handler}
			r.deploy(s, d, r.opts.SetupTimeout, func(err error) {
				if err != nil {
					r.fail(n, "the Requester was not deployed: "+err.Error())
				}
			})
		})
	})
}

// execute does what another runtime's Registry asks for.
func (r *Registry) execute(ctx context.Context, m message.Message) {
	remote := m.From.Runtime()
	if remote == "" || remote == r.opts.Runtime || m.From.Canonical() != remote.Join("registry") {
		r.opts.Bus.Reply(m.Refuse(message.CodeForbidden, "only another runtime's registry may have this one do something"))
		return
	}
	var body struct {
		Method string `json:"method"`
	}
	if err := m.Decode(&body); err != nil || body.Method != methodRenew && body.Method != methodKeep {
		r.opts.Bus.Reply(m.Refuse(message.CodeBadRequest, "method %.40q: want %s or %s", body.Method, methodRenew, methodKeep))
		return
	}
	r.do(func() {
		var c *connection
		rem, ok := r.remotes.get(remote)
		if ok {
			c = rem.conn
		}
		answer := m.Respond(message.CodeOK, nil)
		switch {
		case body.Method == methodRenew && c != nil && c.role == sdk.RoleRequester && (c.state == message.Live || pending(c.state)):
			r.renew(c)
		case body.Method == methodKeep && c != nil && c.role == sdk.RoleHandler && c.state == message.Live:
			rem.keepTill = time.Now().Add(r.opts.SetupTimeout)
		default:
			answer = m.Refuse(message.CodeNotFound, "%s: there is no such connection with %s", body.Method, remote)
		}
		r.opts.Bus.Reply(answer)
	})
}

// keeps tells whether an invitation that has come to the Handler s renews the connection with rem. It runs in the loop.
func (r *Registry) keeps(rem *remote, s *stub) bool {
	c := rem.conn
	return c != nil && c.role == sdk.RoleHandler && c.stub == s.URL && c.state == message.Live && time.Now().Before(rem.keepTill)
}

// meant is which of the two connections a Handler's status is about: until the new one is live the old one is the only
// that can be disconnected. It runs in the loop.
func (rem *remote) meant(value message.Status) *connection {
	if n := rem.next; n != nil && (value != message.Disconnected || n.completing) {
		return n
	}
	return rem.conn
}

// promote makes the connection that is to follow the live one the current one; any other it leaves alone. The old
// one's Requester is ended when what is under way has arrived; where this side is the handler, the other side closes
// it. It runs in the loop.
func (r *Registry) promote(c *connection) {
	rem := c.remote
	if rem.next != c {
		return
	}
	old := rem.conn
	rem.conn, rem.next = c, nil
	if old == nil {
		return
	}
	r.cancel(old.deadline)
	r.closeDoor(old)
	if old.role == sdk.RoleRequester {
		r.later(retireAfter, func() { r.tell(old.stub, "disconnect", rem.url) })
		r.later(retireAfter+forgetAfter, func() { r.dropStub(old.stub, true) })
	}
}

// failNext ends the set-up of a connection that was to follow a live one, which goes on. It runs in the loop.
func (r *Registry) failNext(n *connection, desc string) {
	rem := n.remote
	if !r.move(n, message.Failed, desc) {
		return
	}
	r.dropNext(rem)
	r.opts.Log.Info("P2P connection not renewed", "runtime", rem.url, "plugin", n.plugin, "role", n.role, "reason", desc)
	c := rem.conn
	if c == nil || c.role != sdk.RoleRequester {
		return
	}
	if c.renewals++; c.renewals < maxRenewals {
		r.later(jitter(r.opts.ReconnectDelay), func() {
			if rem.conn == c && c.state == message.Live {
				r.renew(c)
			}
		})
	}
}

// dropNext forgets the connection that was to follow the current one. It runs in the loop.
func (r *Registry) dropNext(rem *remote) {
	n := rem.next
	if n == nil {
		return
	}
	rem.next = nil
	n.completing = false
	r.cancel(n.deadline)
	r.closeDoor(n)
	if n.role == sdk.RoleRequester {
		r.dropStub(n.stub, true)
	}
}
