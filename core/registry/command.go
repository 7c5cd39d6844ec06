package registry

import (
	"context"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// relayName is the way without a P2P connection, in a command.
const relayName = "relay"

// command takes an "execute use" under the policy [Commanded]: {method: "use", params: [remote runtime, name of a
// plug-in or "relay"]}. Only this runtime's own may command. The answer says that the change has begun; the
// connection's state tells the rest.
func (r *Registry) command(ctx context.Context, m message.Message) {
	var body struct {
		Method string   `json:"method"`
		Params []string `json:"params"`
	}
	switch err := m.Decode(&body); {
	case err != nil:
		r.opts.Bus.Reply(m.Refuse(message.CodeBadRequest, "%v", err))
		return
	case r.opts.Policy != Commanded:
		r.opts.Bus.Reply(m.Refuse(message.CodeForbidden, "P2P connections are commanded only where p2p.policy is %s", Commanded))
		return
	case !r.isLocal(m.From):
		r.opts.Bus.Reply(m.Refuse(message.CodeForbidden, "only this runtime's own may command it"))
		return
	case body.Method != "use" || len(body.Params) != 2:
		r.opts.Bus.Reply(m.Refuse(message.CodeBadRequest, `want {"method": "use", "params": [runtime, plug-in or %q]}`, relayName))
		return
	}
	remote, err := message.ParseURL(body.Params[0])
	if err != nil {
		r.opts.Bus.Reply(m.Refuse(message.CodeBadRequest, "%v", err))
		return
	}
	r.do(func() {
		answer := m.Respond(message.CodeOK, nil)
		if rem, ok := r.remotes.get(remote.Runtime()); !ok {
			answer = m.Refuse(message.CodeNotFound, "%s is not known here: send it a message first", remote)
		} else if !r.use(rem, body.Params[1]) {
			answer = m.Refuse(message.CodeNotFound, "%s and this runtime have no plug-in %q in common", remote, body.Params[1])
		}
		r.opts.Bus.Reply(answer)
	})
}

// use ends what there is with rem and sets up a connection over the named plug-in, if it is one. Messages take the relay
// meanwhile. It runs in the loop.
func (r *Registry) use(rem *remote, name string) bool {
	var chosen *Handler
	for _, h := range r.usable(rem.handlers) {
		if h.Name == name {
			chosen = &h
		}
	}
	if chosen == nil && name != relayName || r.opts.Deployer == nil {
		return false
	}
	if c := rem.conn; c != nil {
		switch {
		case c.state == message.Live:
			r.disconnect(c, "as commanded")
		case pending(c.state):
			r.fail(c, "as commanded")
		}
		if c.role == sdk.RoleRequester {
			r.dropStub(c.stub, true)
		} else {
			r.tell(c.stub, "disconnect", rem.url)
		}
	}
	if chosen != nil {
		r.setUp(rem, *chosen)
	}
	return true
}
