package plainpeers

import (
	"context"
	"errors"
	"fmt"

	"github.com/protofly/protofly/sdk/message"
)

// Node is the Message Node from which a message came.
type Node struct {
	Stub   message.URL // the stub that reaches it
	Domain string      // the domain that it serves
}

// Receive takes a message that came through a Message Node's stub and is not the node's own. The MessageBus validates it.
// Receive does not wait: it may need the answer of a Domain Registry, which comes by the same stub.
func (p *Peers) Receive(node Node, m message.Message) {
	size := len(m.Body) + len(m.From) + len(m.To)
	if m.Type == message.Response {
		remote, ok := p.asked.answers(node.Stub, &m)
		if !ok {
			p.logSeldom(m.From, "response without a session that answers nothing dropped", "stub", node.Stub, "from", m.From, "to", m.To)
			return
		}
		p.peer(remote).received.Add(1)
		if !p.work.Do("response:"+m.To.Base().Canonical(), size, func(ctx context.Context) { p.o.Bus.ArriveFromNode(ctx, node.Stub, m) }) {
			p.logSeldom(m.From, "response without a session dropped: too many wait", "stub", node.Stub, "to", m.To)
		}
		return
	}
	if err := p.look(m.From); err != nil {
		p.refuse(node, m, err)
		return
	}
	if !p.work.Do(m.To.Base().Canonical(), size, func(ctx context.Context) { p.take(ctx, node, m) }) {
		p.refuse(node, m, &message.ResponseError{Code: message.CodeTooMany, From: p.o.Self, Description: "too many messages wait for " + string(m.To)})
	}
}

// forged is the error of a message in the name of a runtime that would have a session, or of none. Such a message is not
// answered: the runtime that would get the answer has not sent it.
type forged struct{}

func (forged) Error() string { return "the Message Node may not speak for it" }

// look returns an error for a sender that can be refused without asking a Domain Registry.
func (p *Peers) look(from message.URL) error {
	remote := from.Runtime()
	switch {
	case remote != "" && !Sessionless(remote) || from.NodeDomain() == "":
		return fmt.Errorf("%s: %w", from, forged{})
	case remote != "":
		return p.o.Policy.WithoutSession(remote)
	case !p.o.Policy.HomeWithoutSessions(from.NodeDomain()):
		return fmt.Errorf("%s: a message without a session, and nobody of %s is allowed to send any: allow its runtime in trust.without_sessions.peers, or its domain in trust.without_sessions.domains",
			from, from.NodeDomain())
	}
	return nil
}

// take delivers a message, if its sender is allowed. It may ask the Domain Registry.
func (p *Peers) take(ctx context.Context, node Node, m message.Message) {
	remote, err := p.sender(ctx, node, m)
	if err != nil {
		if ctx.Err() == nil {
			p.refuse(node, m, err)
		}
		return
	}
	p.peer(remote).received.Add(1)
	p.o.Bus.Arrive(ctx, remote, node.Stub, m)
}

// sender returns the runtime that a message counts as from.
func (p *Peers) sender(ctx context.Context, node Node, m message.Message) (message.URL, error) {
	remote, err := p.o.Directory.Where(ctx, m.From)
	if err != nil {
		return "", err
	}
	if !Sessionless(remote) {
		return "", fmt.Errorf("%s, of %s: %w", m.From, remote, forged{})
	}
	if err := p.o.Policy.WithoutSession(remote); err != nil {
		return "", err
	}
	if node.Domain != p.o.Domain && node.Domain != remote.NodeDomain() {
		return "", fmt.Errorf("%s, of %s, by the Message Node of %s: %w", m.From, remote, node.Domain, forged{})
	}
	if m.To.IsRuntime() {
		return "", &message.ResponseError{Code: message.CodeForbidden, From: p.o.Self, Description: string(m.To) + " takes messages in sessions only"}
	}
	return remote, nil
}

// refuse drops a message, and answers it if its sender may wait for an answer.
func (p *Peers) refuse(node Node, m message.Message, err error) {
	if errors.Is(err, forged{}) {
		p.logSeldom(m.From, "a Message Node spoke for somebody else", "stub", node.Stub, "from", m.From, "to", m.To, "error", err)
		return
	}
	p.refused(m.From, node.Stub, err)
	if m.Publication() || !p.o.Directory.Local(m.To) {
		return
	}
	code, text := message.CodeForbidden, err.Error()
	if known := (*message.ResponseError)(nil); errors.As(err, &known) {
		code, text = known.Code, known.Description
	}
	p.work.Do("refusals:", len(text), func(ctx context.Context) {
		if err := p.o.Post(ctx, node.Stub, m.Refuse(code, "%s", text)); err != nil && ctx.Err() == nil {
			p.o.Log.Debug("refusal not sent", "to", m.From, "error", err)
		}
	})
}
