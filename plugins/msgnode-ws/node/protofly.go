package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/peers"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// Version is the node's version, as its Welcome says it.
const Version = "1.0.0"

// beginBinary has a protofly.v1 connection's runtime proved, and returns the connection's reader.
func (n *Node) beginBinary(c *conn) (serve func()) {
	c.ws.SetReadLimit(maxUnproven)
	if err := n.handshake(c); err != nil {
		n.log.Info("connection refused", "error", err)
		c.ws.Close(websocket.StatusPolicyViolation, "refused")
		return nil
	}
	if err := n.attach(c); err != nil {
		if refused := (*wire.Refused)(nil); errors.As(err, &refused) {
			_ = n.refuseHandshake(c, refused) // the close says it as well
		}
		n.log.Error("connection not attached", "runtime", c.runtime, "error", err)
		c.ws.Close(websocket.StatusTryAgainLater, "the node cannot route to you now")
		return nil
	}
	c.ws.SetReadLimit(wire.MaxPacket)
	c.send(wire.AppendGrease(wire.AppendHandshake(nil, wire.KindWelcome, wire.Welcome{Node: "protofly-node " + Version})))
	n.log.Info("connected", "runtime", c.runtime)
	return func() { n.serveBinary(c) }
}

// serveBinary is the reader of a protofly.v1 connection.
func (n *Node) serveBinary(c *conn) {
	run := run{c: c}
	defer c.readDone()
	for {
		c.readDone()
		c.keepPace()
		kind, packet, err := c.readPacket()
		if err != nil {
			n.log.Info("disconnected", "runtime", c.runtime, "error", readError(err))
			return
		}
		if kind != websocket.MessageBinary {
			c.kick(websocket.StatusUnsupportedData, "packets are binary")
			continue
		}
		if err := n.packet(&run, packet); err != nil {
			c.kick(websocket.StatusProtocolError, err.Error())
		}
	}
}

// What a stub that has not proved its runtime may send: a proof, and what this version does not know.
const (
	maxUnproven        = 2 * wire.MaxHandshake // bytes of a packet
	maxUnprovenPackets = 8
)

// handshake challenges the stub, decides whether its runtime may use the node, and sets the connection's runtime.
func (n *Node) handshake(c *conn) error {
	challenge := wire.NewChallenge(n.opts.Domain)
	ctx, cancel := context.WithTimeout(c.ctx, n.opts.Times.Handshake)
	defer cancel()
	if err := c.ws.Write(ctx, websocket.MessageBinary, wire.AppendHandshake(nil, wire.KindChallenge, challenge)); err != nil {
		return err
	}
	for range maxUnprovenPackets {
		_, packet, err := c.ws.Read(ctx)
		if err != nil {
			return err
		}
		for len(packet) > 0 {
			kind, body, rest, err := wire.Next(packet)
			if err != nil {
				return n.refuseHandshake(c, &wire.Refused{Code: message.CodeBadRequest, Reason: err.Error()})
			}
			packet = rest
			switch kind {
			case wire.KindProof:
				var p wire.Proof
				if err := wire.ParseHandshake(body, &p); err != nil {
					return n.refuseHandshake(c, &wire.Refused{Code: message.CodeBadRequest, Reason: err.Error()})
				}
				if err := n.prove(ctx, c, &p, challenge); err != nil {
					return n.refuseHandshake(c, err)
				}
				return nil
			case wire.KindMessage, wire.KindData:
				return n.refuseHandshake(c, &wire.Refused{Code: message.CodeUnauthorised, Reason: "the proof comes first"})
			}
		}
	}
	return n.refuseHandshake(c, &wire.Refused{Code: message.CodeUnauthorised, Reason: "no proof came"})
}

// prove checks a proof, and whether the runtime may use the node. The error is for the stub.
func (n *Node) prove(ctx context.Context, c *conn, p *wire.Proof, challenge wire.Challenge) error {
	if err := c.begin(); err != nil {
		return err
	}
	err := func() error {
		defer c.finish() // also if it panics: the HTTP server goes on then
		return p.Check(challenge)
	}()
	if err != nil {
		return err
	}
	guest, refused := n.admit(ctx, p.Runtime, p.Token)
	if refused == nil {
		refused = n.returning(c.from, p.Runtime)
	}
	if refused != nil {
		return refused.Handshake()
	}
	c.guest = guest
	c.setRuntime(p.Runtime)
	return nil
}

// routesPerHandshake is how many addresses that lead to a runtime cost as much as a handshake when it connects.
const routesPerHandshake = 64

// returning bounds how much it costs that runtimes of an address connect: of those that the node knows, the addresses that
// are to lead to them; of the others, how many there are, since keys cost nothing.
func (n *Node) returning(from quota.Source, runtime message.URL) *refusal.Refusal {
	if !from.IsValid() {
		return nil
	}
	term := "r:" + string(runtime)
	if routes := n.state.Allocations.Count(term) + n.state.Subscriptions.Count(term); routes > routesPerHandshake {
		if wait, ok := n.rates.handshakes.Take(from, routes/routesPerHandshake, time.Now()); !ok {
			return refusal.TryAgain(wait, "too many connections from your address, one after the other")
		}
	}
	if n.connected(runtime) || n.state.Known(runtime) {
		return nil
	}
	if wait, ok := n.rates.newcomers.Take(from, 1, time.Now()); !ok {
		n.rates.handshakes.Fine(from, refusedPrice, time.Now())
		return refusal.TryAgain(wait, "too many new runtimes from your address: at most %d in an hour", n.opts.Limits.Newcomers)
	}
	return nil
}

func (n *Node) refuseHandshake(c *conn, err error) error {
	refused := &wire.Refused{Code: message.CodeBadRequest, Reason: err.Error()}
	errors.As(err, &refused)
	if err := c.writePacket(websocket.MessageBinary, wire.AppendHandshake(nil, wire.KindRefused, refused)); err != nil {
		return err
	}
	return refused
}

// run gathers Data frames for one peer, which are published together.
type run struct {
	c    *conn
	to   *peers.Peer
	data []byte
}

func (r *run) publish() error {
	if r.to == nil {
		return nil
	}
	n := r.c.node
	r.data = n.seal.Sign(r.to.Subject, r.data)
	err := n.backbone.Messages.PublishRequest(r.to.Subject, r.to.Reply, r.data)
	if err != nil {
		r.c.send(wire.AppendUnreachable(nil, r.to.URL))
	}
	r.to, r.data = nil, r.data[:0]
	return err
}

// packet handles the frames of one packet. The error is for a packet that cannot be read.
func (n *Node) packet(r *run, packet []byte) error {
	defer r.publish()
	for len(packet) > 0 {
		kind, body, rest, err := wire.Next(packet)
		if err != nil {
			return err
		}
		packet = rest
		if wait := r.c.heldUp(); wait > 0 {
			_ = r.publish() // what was read before does not wait
			r.c.pause(wait)
		}
		switch kind {
		case wire.KindData:
			if err := n.data(r, body); err != nil {
				return err
			}
		case wire.KindMessage:
			_ = r.publish()                                // in the order in which they came
			m, err := wire.ParseMessage(bytes.Clone(body)) // the message's body is part of it, and may be kept
			if err != nil {
				r.c.notice(message.CodeBadRequest, err.Error())
				continue
			}
			if !utf8.Valid(m.Body) { // its receiver may get it as text
				n.refuse(r.c, m, refusal.New(message.CodeBadRequest, "the body is JSON, which is UTF-8; this one is not"))
				continue
			}
			n.handle(r.c, m)
		}
	}
	return nil
}

// data adds a Data frame to the run, or starts a new one with it.
func (n *Node) data(r *run, body []byte) error {
	text, payloads, err := wire.ParseData(body)
	if err != nil {
		return err
	}
	to, err := r.c.peer(text)
	if err != nil {
		r.c.notice(message.CodeBadRequest, fmt.Sprintf("data for %.100q: %v", text, err))
		return nil
	}
	if len(payloads)+message.MaxURL+16 > wire.MaxFrame {
		r.c.notice(message.CodeTooLarge, fmt.Sprintf("data for %s: %d bytes in a frame", to.URL, len(payloads)))
		return nil
	}
	if to.Barred {
		r.c.notice(message.CodeForbidden, fmt.Sprintf("data for %s: a visitor reaches runtimes of %s only", to.URL, n.opts.Domain))
		return nil
	}
	if !r.c.peers.Take(to, payloads) {
		r.c.unanswered(to)
		return nil
	}
	n.opts.trace().DataCameIn(r.c.runtime, to.URL, payloads)
	if r.to != to || len(r.data) >= wire.PacketGoal {
		_ = r.publish() // its error has been told to the stub
		r.to = to
	}
	r.data = wire.Readdress(r.data, r.c.runtime, payloads)
	return nil
}

// peer looks a runtime up by the text of its URL; it checks a new one.
func (c *conn) peer(text []byte) (*peers.Peer, error) {
	if p := c.peers.Find(text); p != nil {
		return p, nil
	}
	u, err := message.ParseURL(string(text))
	if err != nil {
		return nil, err
	}
	if u.Runtime() == "" || u.Runtime() != u.Canonical() {
		return nil, &message.URLError{Text: string(text), Reason: "not a runtime"}
	}
	p, grown := c.peers.Add(string(text), func(number uint64) peers.Peer {
		return peers.Peer{URL: u.Runtime(), Subject: c.node.subjects.Frames(u.Runtime()), Reply: c.node.reply(c, 'd', number),
			Barred: !c.guest.MayReach(u)}
	})
	c.remember(grown)
	return p, nil
}

// unanswered drops data for a peer that does not answer, and tells the stub now and then. Whoever has much dropped is read
// slowly.
func (c *conn) unanswered(to *peers.Peer) {
	if !c.told.Allow() {
		c.strike()
		return
	}
	c.notice(message.CodeTooMany, fmt.Sprintf("data for %s, which does not answer, is dropped: wait for its answers", to.URL))
}

// notice tells a stub that something it sent was dropped.
func (c *conn) notice(code int, reason string) {
	c.node.log.Warn("dropped", "runtime", c.runtime, "reason", reason)
	c.send(wire.AppendHandshake(nil, wire.KindRefused, wire.Refused{Code: code, Reason: reason}))
	c.strike()
}
