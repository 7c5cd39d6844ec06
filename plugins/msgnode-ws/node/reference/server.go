package reference

import (
	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/allocation"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/conn"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/invites"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/limits"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refjson"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/relay"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/subscriptions"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/writes"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// Options are what connections of the reference's dialects are served with.
type Options struct {
	Times         limits.Times
	State         *state.State
	Writes        *writes.Writes
	Invites       *invites.Invites
	Router        *routing.Router
	Relay         *relay.Relay
	Subscriptions *subscriptions.Subscriptions
	Allocation    *allocation.Allocation
	Log           hclog.Logger
}

// Server serves them.
type Server struct{ o Options }

// New makes a server.
func New(o Options) *Server { return &Server{o} }

// leave is an orderly end: the runtime's subscriptions do not outlive it.
func (s *Server) leave(c *routing.Client) {
	c.Finish() // from here on it waits for the disk
	s.o.Subscriptions.Leave(c)
	c.Kick(conn.CodeLeft, "disconnected as you asked")
}

// validator is the address that the reference's nodes name as the origin of errors in a message's form.
const validator message.URL = "mn:/validator"

// refuseText answers a text that is not a message, with as much of its id and from as can be read. A flood of such texts is
// read slowly.
func (s *Server) refuseText(c *routing.Client, text []byte, code int, why string) {
	defer c.Strike()
	id, from, kind := refjson.Salvage(text)
	if from == "" {
		from = c.Runtime()
	}
	s.o.Log.Debug("bad message", "runtime", c.Runtime(), "reason", why)
	if kind == message.Response || from == "" {
		return // an answer is never answered; and before a session is open there is nobody to answer
	}
	m := message.Message{ID: id, Type: message.Create, From: from, To: validator}
	m = m.Refuse(code, "%s", why)
	if text, err := m.MarshalJSON(); err == nil {
		c.Send(wire.Append(nil, conn.KindText, text))
	}
}
