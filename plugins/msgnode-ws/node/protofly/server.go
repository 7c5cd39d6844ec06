package protofly

import (
	"fmt"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/invites"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/limits"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/peers"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/rates"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/relay"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/trace"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// Options are what connections of protofly.v1 are served with.
type Options struct {
	Version string // of the node, as its Welcome says it
	Domain  string
	Times   limits.Times
	Limits  limits.Limits
	Rates   *rates.Rates
	State   *state.State
	Invites *invites.Invites
	Router  *routing.Router
	Relay   *relay.Relay
	Trace   trace.Trace
	Log     hclog.Logger
}

// Server serves them.
type Server struct{ o Options }

// New makes a server.
func New(o Options) *Server { return &Server{o} }

// unanswered drops data for a peer that does not answer, and tells the stub now and then. A connection of which much is dropped
// is read slowly.
func (s *Server) unanswered(c *routing.Client, to *peers.Peer) {
	if !c.Peers.Tell() {
		c.Strike()
		return
	}
	s.notice(c, message.CodeTooMany, fmt.Sprintf("data for %s, which does not answer, is dropped: wait for its answers", to.URL))
}

// notice tells a stub that something it sent was dropped.
func (s *Server) notice(c *routing.Client, code int, reason string) {
	s.o.Log.Warn("dropped", "runtime", c.Runtime(), "reason", reason)
	c.Send(wire.AppendHandshake(nil, wire.KindRefused, wire.Refused{Code: code, Reason: reason}))
	c.Strike()
}
