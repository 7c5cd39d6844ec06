package registry

import (
	"context"
	"time"

	"github.com/protofly/protofly/core/registry/changes"
	"github.com/protofly/protofly/sdk/message"
)

// receive handles the messages to <runtime>/registry: subscriptions to its changes, and requests of other Registries.
func (r *Registry) receive(ctx context.Context, m message.Message) {
	switch m.Type {
	case message.Response:
		return
	case message.Subscribe, message.Unsubscribe:
	case message.Execute:
		if r.locals.has(m.From) {
			r.command(ctx, m)
		} else {
			r.execute(ctx, m)
		}
		return
	default:
		r.call.Reply(m.Refuse(message.CodeBadRequest, "the Registry takes subscribe, unsubscribe and execute, not %s", m.Type))
		return
	}
	wanted, err := changes.ParseSubscription(&m)
	if err != nil {
		r.call.Reply(m.Refuse(message.CodeBadRequest, "%v", err))
		return
	}
	remote, ok := r.otherRegistry(m.From)
	if !ok {
		r.call.Reply(m.Refuse(message.CodeForbidden, "only another runtime's registry may follow this one's changes"))
		return
	}
	for _, url := range wanted {
		if url.Canonical() != r.changes {
			r.call.Reply(m.Refuse(message.CodeNotFound, "the Registry publishes %s, not %s", r.changes, url))
			return
		}
	}
	r.loop.Do(func() { r.follower(remote, &m) })
}

// otherRegistry returns the remote runtime whose Registry has the address from; false: the address is not another Registry's.
func (r *Registry) otherRegistry(from message.URL) (remote message.URL, ok bool) {
	remote = from.Runtime()
	return remote, remote != "" && remote != r.opts.Runtime && from.Canonical() == remote.Join("registry")
}

// execute does what another runtime's Registry requests.
func (r *Registry) execute(ctx context.Context, m message.Message) {
	remote, ok := r.otherRegistry(m.From)
	if !ok {
		r.call.Reply(m.Refuse(message.CodeForbidden, "only another runtime's registry may have this one do something"))
		return
	}
	var body struct {
		Method string `json:"method"`
	}
	if err := m.Decode(&body); err != nil || body.Method != methodRenew && body.Method != methodKeep {
		r.call.Reply(m.Refuse(message.CodeBadRequest, "method %.40q: want %s or %s", body.Method, methodRenew, methodKeep))
		return
	}
	r.loop.Do(func() {
		done := false
		if body.Method == methodRenew {
			done = r.peers.RenewAsked(time.Now(), remote)
		} else {
			done = r.peers.KeepAsked(time.Now(), remote)
		}
		r.fulfilAll()
		if done {
			r.call.Reply(m.Respond(message.CodeOK, nil))
		} else {
			r.call.Reply(m.Refuse(message.CodeNotFound, "%s: there is no such connection with %s", body.Method, remote))
		}
	})
}

// relayName stands for the way without a P2P connection, in a command.
const relayName = "relay"

// command handles an "execute use" under the policy [Commanded]: {method: "use", params: [remote runtime, name of a plug-in
// or "relay"]}. Only components and hyperties of this runtime may command. The answer says that the change has begun; the
// connection's state shows how it goes on.
func (r *Registry) command(ctx context.Context, m message.Message) {
	var body struct {
		Method string   `json:"method"`
		Params []string `json:"params"`
	}
	switch err := m.Decode(&body); {
	case err != nil:
		r.call.Reply(m.Refuse(message.CodeBadRequest, "%v", err))
		return
	case r.opts.Policy != Commanded:
		r.call.Reply(m.Refuse(message.CodeForbidden, "P2P connections are commanded only where p2p.policy is %s", Commanded))
		return
	case !r.locals.has(m.From):
		r.call.Reply(m.Refuse(message.CodeForbidden, "only this runtime's own may command it"))
		return
	case body.Method != "use" || len(body.Params) != 2:
		r.call.Reply(m.Refuse(message.CodeBadRequest, `want {"method": "use", "params": [runtime, plug-in or %q]}`, relayName))
		return
	}
	remote, err := message.ParseURL(body.Params[0])
	if err != nil {
		r.call.Reply(m.Refuse(message.CodeBadRequest, "%v", err))
		return
	}
	r.loop.Do(func() {
		answer := m.Respond(message.CodeOK, nil)
		if rt, ok := r.directory.Runtime(remote.Runtime()); !ok {
			answer = m.Refuse(message.CodeNotFound, "%s is not known here: send it a message first", remote)
		} else if !r.peers.Use(time.Now(), rt.URL(), body.Params[1], relayName) {
			answer = m.Refuse(message.CodeNotFound, "%s and this runtime have no plug-in %q in common", remote, body.Params[1])
		}
		r.fulfilAll()
		r.call.Reply(answer)
	})
}
