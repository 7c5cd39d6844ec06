package protofly

import (
	"context"
	"errors"
	"time"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// What a stub that has not proved its runtime may send: a proof, and frames that this version does not know.
const (
	maxUnproven        = 2 * wire.MaxHandshake // bytes of a packet
	maxUnprovenPackets = 8
)

// handshake challenges the stub, decides whether its runtime may use the node, and sets the connection's runtime.
func (s *Server) handshake(c *routing.Client) error {
	challenge := wire.NewChallenge(s.o.Domain)
	ctx, cancel := context.WithTimeout(c.Context(), s.o.Times.Handshake)
	defer cancel()
	next := wire.AppendHandshake(nil, wire.KindChallenge, challenge)
	for range maxUnprovenPackets {
		packet, err := c.Exchange(ctx, next)
		if err != nil {
			return err
		}
		next = nil // the rest is the stub's
		for len(packet) > 0 {
			kind, body, rest, err := wire.Next(packet)
			if err != nil {
				return s.refuseHandshake(c, &wire.Refused{Code: message.CodeBadRequest, Reason: err.Error()})
			}
			packet = rest
			switch kind {
			case wire.KindProof:
				var p wire.Proof
				if err := wire.ParseHandshake(body, &p); err != nil {
					return s.refuseHandshake(c, &wire.Refused{Code: message.CodeBadRequest, Reason: err.Error()})
				}
				if err := s.prove(ctx, c, &p, challenge); err != nil {
					return s.refuseHandshake(c, err)
				}
				return nil
			case wire.KindMessage, wire.KindData:
				return s.refuseHandshake(c, &wire.Refused{Code: message.CodeUnauthorised, Reason: "the proof comes first"})
			}
		}
	}
	return s.refuseHandshake(c, &wire.Refused{Code: message.CodeUnauthorised, Reason: "no proof came"})
}

// prove checks a proof, and whether the runtime may use the node. The error is for the stub.
func (s *Server) prove(ctx context.Context, c *routing.Client, p *wire.Proof, challenge wire.Challenge) error {
	if err := c.Begin(); err != nil {
		return err
	}
	err := func() error {
		defer c.Finish() // also if it panics: the HTTP server goes on then
		return p.Check(challenge)
	}()
	if err != nil {
		return err
	}
	guest, refused := s.o.Invites.Admit(ctx, p.Runtime, p.Token)
	if refused == nil {
		refused = s.returning(c.From, p.Runtime)
	}
	if refused != nil {
		return refused.Handshake()
	}
	c.Guest = guest
	c.SetRuntime(p.Runtime)
	return nil
}

// returning bounds what connecting runtimes of an address cost the node: by the addresses that are to lead to a runtime which
// the node knows, and by the number of unknown ones, since keys cost nothing.
func (s *Server) returning(from quota.Source, runtime message.URL) *refusal.Refusal {
	if !from.IsValid() {
		return nil
	}
	term := "r:" + string(runtime)
	routes := s.o.State.Allocations.Count(term) + s.o.State.Subscriptions.Count(term)
	if wait, ok := s.o.Rates.Return(from, routes, time.Now()); !ok {
		return refusal.TryAgain(wait, "too many connections from your address, one after the other")
	}
	if s.o.Router.Roster.Connected(runtime) || s.o.State.Known(runtime) {
		return nil
	}
	if wait, ok := s.o.Rates.Newcomer(from, time.Now()); !ok {
		return refusal.TryAgain(wait, "too many new runtimes from your address: at most %d in an hour", s.o.Limits.Newcomers)
	}
	return nil
}

func (s *Server) refuseHandshake(c *routing.Client, err error) error {
	refused := &wire.Refused{Code: message.CodeBadRequest, Reason: err.Error()}
	errors.As(err, &refused)
	if err := c.Write(websocket.MessageBinary, wire.AppendHandshake(nil, wire.KindRefused, refused)); err != nil {
		return err
	}
	return refused
}
