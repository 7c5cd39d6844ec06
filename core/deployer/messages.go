package deployer

import (
	"context"
	"errors"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/plainpeers"
	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Receive takes a control message from a stub: the stub's own, or, from a Message Node's stub, one that its node sent or relays from
// a runtime without a session. The error says that the plug-in has used another's address as `from`. Receive never waits for the
// stub, because the stub's next message and its restart wait for it.
func (dep *Deployer) Receive(ctx context.Context, stub message.URL, m message.Message) error {
	d, ok := dep.find(stub)
	if !ok { // it was on its way when the stub ended
		dep.o.Log.Debug("message of a stub that is gone", "stub", stub, "type", m.Type, "to", m.To)
		return nil
	}
	if d.Role == sdk.RoleNode && !m.From.Within(stub) {
		dep.fromNode(ctx, d, m)
		return nil
	}
	err := dep.o.Bus.From(ctx, stub, m)
	if err == nil {
		return nil
	}
	dep.o.Log.Warn("stub's message refused", "stub", stub, "from", m.From, "to", m.To, "error", err)
	if m.Type != message.Response && !m.Publication() {
		dep.o.MiniBuses.TryPost(stub, m.Refuse(message.CodeForbidden, "%v", err))
	}
	if errors.Is(err, bus.ErrForged) {
		return err
	}
	return nil
}

// fromNode takes a message that a Message Node has sent or relayed.
func (dep *Deployer) fromNode(ctx context.Context, d registry.Deployment, m message.Message) {
	if !m.From.IsBackEnd() {
		dep.o.Plain(plainpeers.Node{Stub: d.URL, Domain: d.Domain}, m)
		return
	}
	of := m.From.NodeDomain()
	if of == "" { // an address of the scheme global is a function of this domain's node
		of = dep.o.Config.Domain
	}
	if of != d.Domain {
		dep.o.Log.Warn("a Message Node spoke for somebody else", "stub", d.URL, "from", m.From, "to", m.To)
		return
	}
	dep.o.Bus.ArriveFromNode(ctx, d.URL, m)
}

// post passes a message to a stub's MiniBus.
func (dep *Deployer) post(ctx context.Context, d registry.Deployment, m message.Message) {
	if d.Role == sdk.RoleHandler && m.Type == message.Subscribe && m.From.Within(dep.o.Self) {
		dep.noteDoor(d.URL, m)
	}
	if err := dep.o.MiniBuses.Post(ctx, d.URL, m); err != nil && ctx.Err() == nil {
		dep.o.Log.Debug("stub not reached", "stub", d.URL, "type", m.Type, "from", m.From, "error", err)
		if m.Type != message.Response {
			dep.o.Bus.Reply(m.Refuse(message.CodeUnavailable, "the plug-in %s does not run: %v", d.Plugin, err))
		}
	}
}

// noteDoor notes which runtime is behind the p2p-connectionUrl that the Registry subscribes to at a Handler. It does so before the
// first frame comes in by that door.
func (dep *Deployer) noteDoor(handler message.URL, m message.Message) {
	var body struct {
		Subscribe message.URLs `json:"subscribe"`
		Peer      message.URL  `json:"peer"`
	}
	if m.Decode(&body) == nil && len(body.Subscribe) == 1 && body.Peer != "" {
		dep.o.Doors.AddDirect(handler, body.Subscribe[0], body.Peer)
	}
}

// unreachable takes a report of a Message Node's stub that a remote runtime is not connected to the node. The session keeps the messages to
// it and tries again, until it has been silent for long.
func (dep *Deployer) unreachable(d registry.Deployment, m message.Message) {
	var body struct {
		Value message.URL `json:"value"`
	}
	if m.Type == message.Update && m.From.Within(d.URL) && m.Decode(&body) == nil {
		dep.o.Away(body.Value, d.URL)
		dep.o.Peers.Log(dep.o.Log, hclog.Info, "remote runtime is not connected to its Message Node: messages to it wait", body.Value)
	}
}

// status handles the status of a Message Node's stub. Any component may post to this address; only the stub's messages count.
func (dep *Deployer) status(d registry.Deployment, m message.Message) {
	var body struct {
		Value message.Status `json:"value"`
	}
	if m.From.Within(d.URL) && m.Type == message.Update && m.Decode(&body) == nil && body.Value == message.Live {
		dep.o.NodeLive(d.Domain)
	}
}
