package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protofly/protofly/bench/speed/load"
)

// This file has the baseline of the link to plug-ins: a gRPC stream of go-plugin alone, as its documentation shows it, with one
// gRPC message for each message. The sender is the host, the receiver is the plug-in.

func grpcHandshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "PROTOFLY_BENCH", MagicCookieValue: "grpc"}
}

// grpcPlugin is both sides.
type grpcPlugin struct{ plugin.NetRPCUnsupportedPlugin }

func grpcService() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: "bench.Bench", HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{StreamName: "Stream", ServerStreams: true, ClientStreams: true, Handler: func(_ any, s grpc.ServerStream) error {
			return load.Answer(s.Context(), &grpcConn{stream: s})
		}}},
	}
}

func (grpcPlugin) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	s.RegisterService(grpcService(), struct{}{})
	return nil
}

func (grpcPlugin) GRPCClient(ctx context.Context, _ *plugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	s, err := c.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/bench.Bench/Stream")
	return &grpcConn{stream: s}, err
}

// grpcConn is a stream as a [load.Conn].
type grpcConn struct {
	stream interface {
		SendMsg(m any) error
		RecvMsg(m any) error
	}
	mu sync.Mutex // gRPC forbids two senders
}

func (c *grpcConn) Send(_ context.Context, b []byte, _ bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stream.SendMsg(wrapperspb.Bytes(b))
}

func (c *grpcConn) Run(_ context.Context, take func(b []byte)) error {
	for {
		var m wrapperspb.BytesValue
		if err := c.stream.RecvMsg(&m); err != nil {
			return err
		}
		take(m.Value)
	}
}

func grpcReceiver(context.Context, []string) error {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: grpcHandshake(), Plugins: plugin.PluginSet{"bench": grpcPlugin{}}, GRPCServer: plugin.DefaultGRPCServer,
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: os.Stderr, JSONFormat: true}),
	})
	return nil
}

func grpcSender(ctx context.Context, _ []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: grpcHandshake(), Plugins: plugin.PluginSet{"bench": grpcPlugin{}}, AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS: true, Cmd: exec.Command(self, "role", "grpc-receiver"), Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: os.Stderr}),
	})
	defer client.Kill()
	protocol, err := client.Client()
	if err != nil {
		return err
	}
	raw, err := protocol.Dispense("bench")
	if err != nil {
		return err
	}
	conn, ok := raw.(*grpcConn)
	if !ok {
		return errors.New("not a stream")
	}
	return serveSender(ctx, endless{conn}, load.Child{PIDs: func() []int { return []int{client.ReattachConfig().Pid} }})
}

// endless is a connection that ends with its process.
type endless struct{ load.Conn }

func (e endless) Run(ctx context.Context, take func(b []byte)) error {
	go func() { _ = e.Conn.Run(ctx, take) }()
	<-ctx.Done()
	return nil
}
