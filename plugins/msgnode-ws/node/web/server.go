package web

import (
	"context"
	"crypto/tls"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/conn"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/invites"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/limits"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/protofly"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/rates"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/reference"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/writes"
)

// Options are what the HTTP server serves, and with what.
type Options struct {
	Context   context.Context // ends when the node closes
	Domain    string
	TLS       *tls.Config // nil: plain
	Insecure  bool        // a proxy may end TLS
	PublicURL string      // at which stubs reach the node; "": the one at which its descriptor was asked for
	Legacy    bool        // the reference's dialects are allowed
	Origins   []string    // host patterns of web pages that may open a connection
	Sources   quota.Sources
	Limits    limits.Limits
	Times     limits.Times
	Listener  *Listener
	Rates     *rates.Rates
	Conns     *conn.Set
	Router    *routing.Router
	Invites   *invites.Invites
	Binary    *protofly.Server
	Reference *reference.Server
	Writes    *writes.Writes
	Connected func() bool // tells whether there is a connection to NATS
	Log       hclog.Logger
}

// Server is the node's HTTP server.
type Server struct{ o Options }

// New makes a server.
func New(o Options) *Server { return &Server{o} }

// Paths of the HTTP server, besides [wire.Path].
const (
	PathPlain      = "/stub/connect"
	PathSession    = "/ws"
	PathDescriptor = "/.well-known/protocolstub/default"
	PathHealth     = "/healthz"
)
