package protofly

import (
	"fmt"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/peers"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// run gathers Data frames for one peer, which are published together.
type run struct {
	s    *Server
	c    *routing.Client
	to   *peers.Peer
	data []byte
}

func (r *run) publish() error {
	if r.to == nil {
		return nil
	}
	sent, err := r.s.o.Router.SendData(r.c, r.to, r.data)
	r.to, r.data = nil, sent[:0]
	return err
}

// data adds a Data frame to the run, or starts a new one with it.
func (s *Server) data(r *run, body []byte) error {
	text, payloads, err := wire.ParseData(body)
	if err != nil {
		return err
	}
	to, err := s.o.Router.Peer(r.c, text)
	if err != nil {
		s.notice(r.c, message.CodeBadRequest, fmt.Sprintf("data for %.100q: %v", text, err))
		return nil
	}
	if len(payloads)+message.MaxURL+16 > wire.MaxFrame {
		s.notice(r.c, message.CodeTooLarge, fmt.Sprintf("data for %s: %d bytes in a frame", to.URL, len(payloads)))
		return nil
	}
	if to.Barred {
		s.notice(r.c, message.CodeForbidden, fmt.Sprintf("data for %s: a visitor reaches runtimes of %s only", to.URL, s.o.Domain))
		return nil
	}
	if !r.c.Peers.Take(to, payloads) {
		s.unanswered(r.c, to)
		return nil
	}
	s.o.Trace.DataCameIn(r.c.Runtime(), to.URL, payloads)
	if r.to != to || len(r.data) >= wire.PacketGoal {
		_ = r.publish() // the stub has been told of the error
		r.to = to
	}
	r.data = wire.Readdress(r.data, r.c.Runtime(), payloads)
	return nil
}
