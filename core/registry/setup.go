package registry

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// consider starts a P2P set-up with rem, or asks its Requester to connect again, if the time has come. to is an
// address at rem, or "". It runs in the loop.
func (r *Registry) consider(rem *remote, to message.URL) {
	if time.Now().Before(rem.retryAt) || r.opts.Policy == Commanded {
		return
	}
	c := rem.conn
	switch {
	case !r.opts.Connects(rem.url):
		r.pause(rem, r.opts.MaxBackoff)
	case c == nil || c.state == message.Failed || c.state == message.Disconnected && c.role == sdk.RoleHandler:
		usable := r.usable(rem.handlers)
		switch {
		case len(usable) > 0 && r.opts.Deployer != nil:
			r.setUp(rem, usable[rem.choice%len(usable)])
		case len(rem.handlers) == 0 && to.Scheme() == message.SchemeHyperty && time.Since(rem.readAt) > r.opts.MaxBackoff:
			r.learnHandlers(rem, to)
		default:
			r.pause(rem, r.opts.MaxBackoff)
		}
	case c.state == message.Disconnected:
		r.reconnect(c)
	}
}

// pause lets no message wake the loop for rem for a while. It runs in the loop.
func (r *Registry) pause(rem *remote, d time.Duration) {
	rem.retryAt = time.Now().Add(d)
	r.refreshWay(rem)
}

// learnHandlers reads the Domain Registry's entry of an address that is known without it (from /changes), in the
// background: the entry names the runtime's Handlers.
func (r *Registry) learnHandlers(rem *remote, to message.URL) {
	r.pause(rem, r.opts.MaxBackoff)
	r.spawn(func(ctx context.Context) {
		if found, err := r.lookUp(ctx, addressKey(to), true); err == nil && found == rem {
			r.do(func() {
				if len(r.usable(rem.handlers)) > 0 {
					r.pause(rem, 0)
				}
			})
		}
	})
}

// setUp deploys a Requester for one of rem's Handlers. It runs in the loop.
func (r *Registry) setUp(rem *remote, h Handler) {
	stubURL := r.opts.Runtime.Join("p2prequester", strings.ToLower(rand.Text()))
	c := r.newConnection(rem, sdk.RoleRequester, h.Name, stubURL)
	s := r.addStub(Stub{URL: stubURL, Role: sdk.RoleRequester, Plugin: h.Name, Remote: rem.url}, message.Created)
	s.conn, c.handler = c, h.URL
	d := Deployment{URL: stubURL, Role: sdk.RoleRequester, Plugin: h.Name, Domain: rem.url.NodeDomain(), Remote: rem.url, Handler: h.URL}
	r.deploy(s, d, r.opts.SetupTimeout, func(err error) {
		if err != nil {
			r.fail(c, "the Requester was not deployed: "+err.Error())
		}
	})
}

// newConnection replaces rem's entry. It runs in the loop.
func (r *Registry) newConnection(rem *remote, role sdk.Role, plugin string, stub message.URL) *connection {
	r.dropNext(rem)
	c := r.entry(rem, role, plugin, stub)
	if old := rem.conn; old != nil {
		r.cancel(old.deadline)
		r.closeDoor(old)
	}
	rem.conn = c
	r.shown(c)
	return c
}

// entry makes an entry. It runs in the loop.
func (r *Registry) entry(rem *remote, role sdk.Role, plugin string, stub message.URL) *connection {
	r.numbers++
	c := &connection{number: r.numbers, remote: rem, plugin: plugin, role: role, stub: stub, state: message.Created,
		since: time.Now(), attempts: 1}
	if rem.conn != nil {
		c.attempts = rem.conn.attempts + 1
	}
	c.deadline = r.later(r.opts.SetupTimeout, func() {
		r.fail(c, "not live within "+r.opts.SetupTimeout.String())
	})
	return c
}

// reconnect asks a Requester whose connection is disconnected to connect again. It is a whole new set-up, so it is a
// new entry. It runs in the loop.
func (r *Registry) reconnect(old *connection) {
	rem := old.remote
	s, ok := r.stubs.get(old.stub.Canonical())
	if !ok {
		return
	}
	c := r.newConnection(rem, sdk.RoleRequester, old.plugin, old.stub)
	s.conn, c.handler = c, old.handler
	s.to(message.Created, "reconnect")
	r.spawn(func(ctx context.Context) {
		for r.askToConnect(ctx, c) {
			select {
			case <-time.After(tellPause):
			case <-ctx.Done():
				return
			}
		}
	})
}

// askToConnect sends one "execute connect"; it tells whether another is needed: the stub's process may just be
// starting again.
func (r *Registry) askToConnect(ctx context.Context, c *connection) bool {
	_, err := r.request(ctx, message.Execute, c.stub, executeBody{"connect", []message.URL{c.handler}}, tellTimeout)
	if err == nil || ctx.Err() != nil {
		return false
	}
	r.opts.Log.Debug("Requester does not connect again yet", "stub", c.stub, "error", err)
	again := false
	err = r.ask(ctx, func() { again = c.remote.conn == c && c.state == message.Created })
	return err == nil && again
}

// fail ends a set-up. The next transport is tried at once; when all have failed, a message starts again from the first
// when the backoff is over. It runs in the loop.
func (r *Registry) fail(c *connection, desc string) {
	rem := c.remote
	if rem.next == c {
		r.failNext(c, desc)
		return
	}
	if rem.conn != c || !r.move(c, message.Failed, desc) {
		return
	}
	c.completing = false
	r.closeDoor(c)
	r.expireFollower(rem)
	r.opts.Log.Info("P2P set-up failed", "runtime", rem.url, "plugin", c.plugin, "role", c.role, "reason", desc)
	if c.role == sdk.RoleHandler {
		r.tell(c.stub, "disconnect", rem.url)
		r.pause(rem, r.opts.HandlerGrace)
		return
	}
	r.dropStub(c.stub, true)
	rem.choice++
	if rem.choice < len(r.usable(rem.handlers)) {
		rem.retryAt = time.Time{}
		r.consider(rem, "")
		return
	}
	rem.choice = 0
	rem.failures++
	r.pause(rem, r.backoff(rem.failures))
}

// Suspect says that the direct way to a remote runtime does not carry messages although its stub has it live (pings
// may pass where data is stuck): the connection is given up, and set up again as after any other end.
func (r *Registry) Suspect(remote, door message.URL) {
	r.do(func() {
		rem, ok := r.remotes.get(remote.Runtime())
		if !ok || rem.conn == nil || rem.conn.state != message.Live || rem.conn.door != door {
			return
		}
		c := rem.conn
		r.tell(c.stub, "disconnect", rem.url)
		r.disconnect(c, "it does not carry messages")
		r.pause(rem, max(time.Until(rem.retryAt), r.opts.ReconnectDelay/2)) // the stub hears "disconnect" before "connect"
	})
}
