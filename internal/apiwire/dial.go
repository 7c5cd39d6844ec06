package apiwire

import (
	"context"
	"errors"
	"net"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/protofly/protofly/internal/peercred"
)

// Open opens an application's connection to the runtime at the socket, and makes sure that it is this user's own.
// Nothing has been said on it.
func Open(ctx context.Context, socket string) (net.Conn, error) {
	raw, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	if err := peercred.Check(raw); err != nil {
		_ = raw.Close()
		return nil, err
	}
	return raw, nil
}

// Link is one connection for calls of gRPC to a runtime's socket. It does not dial again when it breaks.
type Link struct {
	*grpc.ClientConn
	raw net.Conn
}

// Dial connects to the runtime at the socket, and makes sure that it is this user's own.
func Dial(ctx context.Context, socket string) (*Link, error) {
	raw, err := Open(ctx, socket)
	if err != nil {
		return nil, err
	}
	var taken atomic.Bool
	conn, err := grpc.NewClient("passthrough:///protofly",
		grpc.WithTransportCredentials(insecure.NewCredentials()), // a socket that only this user can open
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			if taken.Swap(true) {
				return nil, errors.New("the runtime has closed the connection")
			}
			return raw, nil
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxBatch), grpc.MaxCallSendMsgSize(MaxBatch)),
		grpc.WithInitialWindowSize(MaxBatch), grpc.WithInitialConnWindowSize(2*MaxBatch),
		grpc.WithDisableServiceConfig(), grpc.WithNoProxy(),
	)
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	return &Link{conn, raw}, nil
}

// Close ends the connection.
func (l *Link) Close() error {
	err := l.ClientConn.Close()
	_ = l.raw.Close() // where gRPC has not taken it; else it is closed already
	return err
}
