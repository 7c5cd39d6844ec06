package protofly

import (
	"bytes"
	"errors"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/conn"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// Begin makes a connection prove its runtime, and attaches it. It returns a function that reads the connection until it ends;
// nil: the connection was refused and has ended.
func (s *Server) Begin(c *routing.Client) (serve func()) {
	c.SetReadLimit(maxUnproven)
	if err := s.handshake(c); err != nil {
		s.o.Log.Info("connection refused", "error", err)
		c.Conn.Refuse(websocket.StatusPolicyViolation, "refused")
		return nil
	}
	if err := s.o.Router.Attach(c); err != nil {
		if refused := (*wire.Refused)(nil); errors.As(err, &refused) {
			_ = s.refuseHandshake(c, refused) // the close has the reason as well
		}
		s.o.Log.Error("connection not attached", "runtime", c.Runtime(), "error", err)
		c.Conn.Refuse(websocket.StatusTryAgainLater, "the node cannot route to you now")
		return nil
	}
	c.SetReadLimit(wire.MaxPacket)
	c.Send(wire.AppendGrease(wire.AppendHandshake(nil, wire.KindWelcome, wire.Welcome{Node: "protofly-node " + s.o.Version})))
	s.o.Log.Info("connected", "runtime", c.Runtime())
	return func() { s.serve(c) }
}

// serve is the reader of a connection.
func (s *Server) serve(c *routing.Client) {
	run := run{s: s, c: c}
	defer c.ReadDone()
	for {
		c.ReadDone()
		c.KeepPace()
		kind, packet, err := c.ReadPacket()
		if err != nil {
			s.o.Log.Info("disconnected", "runtime", c.Runtime(), "error", conn.ReadEnd(err))
			return
		}
		if kind != websocket.MessageBinary {
			c.Kick(websocket.StatusUnsupportedData, "packets are binary")
			continue
		}
		if err := s.packet(&run, packet); err != nil {
			c.Kick(websocket.StatusProtocolError, err.Error())
		}
	}
}

// packet handles the frames of one packet. The error is for a packet that cannot be read.
func (s *Server) packet(r *run, packet []byte) error {
	defer r.publish()
	for len(packet) > 0 {
		kind, body, rest, err := wire.Next(packet)
		if err != nil {
			return err
		}
		packet = rest
		if wait := r.c.Due(); wait > 0 {
			_ = r.publish() // what was read before does not wait
			r.c.Pause(wait)
		}
		switch kind {
		case wire.KindData:
			if err := s.data(r, body); err != nil {
				return err
			}
		case wire.KindMessage:
			_ = r.publish()                                // in the order in which they came
			m, err := wire.ParseMessage(bytes.Clone(body)) // the message's body is part of it, and may be kept
			if err != nil {
				s.notice(r.c, message.CodeBadRequest, err.Error())
				continue
			}
			if !utf8.Valid(m.Body) { // its receiver may get it as text
				r.c.Refuse(m, refusal.New(message.CodeBadRequest, "the body is JSON, which is UTF-8; this one is not"))
				continue
			}
			s.o.Relay.Handle(r.c, m)
		}
	}
	return nil
}
