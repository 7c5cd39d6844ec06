package core

import (
	"context"
	"errors"
	"fmt"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/sdk/message"
)

// in takes a message that came through a Message Node's stub and is not the node's own. It does not wait: the answer
// of a Domain Registry, for which it may have to, comes by the same stub.
func (p *plain) in(stub deployed, m message.Message) {
	if err := m.Check(); err != nil {
		p.say(m.From, "malformed message without a session dropped", "stub", stub.URL, "error", err)
		return
	}
	size := len(m.Body) + len(m.From) + len(m.To)
	if m.Type == message.Response {
		remote, ok := p.asked.answers(stub.URL, &m)
		if !ok {
			p.say(m.From, "response without a session that answers nothing dropped", "stub", stub.URL, "from", m.From, "to", m.To)
			return
		}
		p.peer(remote).received.Add(1)
		if !p.lanes.Do("response:"+m.To.Base().Canonical(), size, func(ctx context.Context) { p.rt.bus.ArriveFromNode(ctx, stub.URL, m) }) {
			p.say(m.From, "response without a session dropped: too many wait", "stub", stub.URL, "to", m.To)
		}
		return
	}
	if err := p.look(m.From); err != nil {
		p.refuse(stub, m, err)
		return
	}
	if !p.lanes.Do(m.To.Base().Canonical(), size, func(ctx context.Context) { p.take(ctx, stub, m) }) {
		p.refuse(stub, m, &message.ResponseError{Code: message.CodeTooMany, From: p.rt.URL(), Description: "too many messages wait for " + string(m.To)})
	}
}

// errForged: the message is in the name of somebody who would have a session, or of nobody. It is not answered: who
// would get the answer has not asked.
var errForged = errors.New("the Message Node may not speak for it")

// look refuses what nobody need be asked about.
func (p *plain) look(from message.URL) error {
	remote := from.Runtime()
	switch {
	case remote != "" && !sessionless(remote) || from.NodeDomain() == "":
		return fmt.Errorf("%s: %w", from, errForged)
	case remote != "":
		return p.rt.judge.WithoutSession(remote)
	case !p.rt.judge.HomeWithoutSessions(from.NodeDomain()):
		return fmt.Errorf("%s: a message without a session, and nobody of %s is allowed to send any: allow its runtime in trust.without_sessions.peers, or its domain in trust.without_sessions.domains",
			from, from.NodeDomain())
	}
	return nil
}

// take delivers a message, if it may come. It may ask the Domain Registry.
func (p *plain) take(ctx context.Context, stub deployed, m message.Message) {
	remote, err := p.sender(ctx, stub, m)
	if err != nil {
		if ctx.Err() == nil {
			p.refuse(stub, m, err)
		}
		return
	}
	p.peer(remote).received.Add(1)
	p.rt.bus.Arrive(ctx, remote, stub.URL, m)
}

// sender is the runtime that a message counts as from.
func (p *plain) sender(ctx context.Context, stub deployed, m message.Message) (message.URL, error) {
	remote, err := p.rt.registry.Where(ctx, m.From)
	if err != nil {
		return "", err
	}
	if !sessionless(remote) {
		return "", fmt.Errorf("%s, of %s: %w", m.From, remote, errForged)
	}
	if err := p.rt.judge.WithoutSession(remote); err != nil {
		return "", err
	}
	if stub.Domain != p.rt.config.Domain && stub.Domain != remote.NodeDomain() {
		return "", fmt.Errorf("%s, of %s, by the Message Node of %s: %w", m.From, remote, stub.Domain, errForged)
	}
	if m.To.IsRuntime() {
		return "", &message.ResponseError{Code: message.CodeForbidden, From: p.rt.URL(), Description: string(m.To) + " takes messages in sessions only"}
	}
	return remote, nil
}

// refuse drops a message that came, and answers it where somebody may wait for that.
func (p *plain) refuse(stub deployed, m message.Message, err error) {
	if errors.Is(err, errForged) {
		p.say(m.From, "a Message Node spoke for somebody else", "stub", stub.URL, "from", m.From, "to", m.To, "error", err)
		return
	}
	p.refused(m.From, stub.URL, err)
	if bus.Publication(m) || !p.rt.registry.Local(m.To) {
		return
	}
	code, text := message.CodeForbidden, err.Error()
	if known := (*message.ResponseError)(nil); errors.As(err, &known) {
		code, text = known.Code, known.Description
	}
	p.lanes.Do("refusals:", len(text), func(ctx context.Context) {
		if err := p.rt.host.Post(ctx, stub.URL, m.Refuse(code, "%s", text)); err != nil && ctx.Err() == nil {
			p.rt.log.Debug("refusal not sent", "to", m.From, "error", err)
		}
	})
}
