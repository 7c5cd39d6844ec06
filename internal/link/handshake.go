package link

import (
	"context"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/protofly/protofly/internal/link/linkpb"
)

// ProtocolVersion is the newest version of the link's protocol that this code speaks.
const ProtocolVersion = 1

// Name is the name of the link in go-plugin's set of plug-ins.
const Name = "protostub"

// LogLevelVariable is the environment variable that tells a plug-in how much to log (hclog's names).
const LogLevelVariable = "PROTOFLY_LOG_LEVEL"

// Handshake is the environment variable by which a plug-in recognises that a host has started it. It keeps people from starting
// a plug-in by hand; it is not a secret.
func Handshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{
		MagicCookieKey:   "PROTOFLY_PLUGIN",
		MagicCookieValue: "protofly protostub link",
	}
}

// Plugins are go-plugin's sets by version of the protocol. A plug-in gives its server; a host gives nil.
func Plugins(server linkpb.PluginServer) map[int]plugin.PluginSet {
	return map[int]plugin.PluginSet{ProtocolVersion: {Name: &glue{server: server}}}
}

// glue implements go-plugin's interface of a plug-in.
type glue struct {
	plugin.NetRPCUnsupportedPlugin
	server linkpb.PluginServer
}

func (g *glue) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	linkpb.RegisterPluginServer(s, g.server)
	return nil
}

func (g *glue) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return conn, nil
}

// Open opens the link as the host does, on a connection made with [DialOptions]. The stream ends with ctx.
func Open(ctx context.Context, conn grpc.ClientConnInterface) (grpc.ClientStream, error) {
	return linkpb.NewPluginClient(conn).Link(ctx, grpc.ForceCodecV2(newCodec()))
}
