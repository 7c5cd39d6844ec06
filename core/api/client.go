package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protofly/protofly/core/trace"
	wire "github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/internal/profile"
	"github.com/protofly/protofly/sdk/message"
)

// ErrNotRunning says that no runtime answers at the socket.
var ErrNotRunning = errors.New("no runtime is running there")

// Client asks a running runtime how things are: what the command line is made of. Applications use sdk/hyperty.
type Client struct {
	link *wire.Link
	rpc  wire.RuntimeClient
}

// Dial connects to the runtime at the socket. Where there is none the error is [ErrNotRunning].
func Dial(ctx context.Context, socket string) (*Client, error) {
	link, err := wire.Dial(ctx, socket)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	return &Client{link, wire.NewRuntimeClient(link)}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.link.Close() }

// Status asks what runs.
func (c *Client) Status(ctx context.Context) (Status, error) {
	reply, err := c.rpc.Status(ctx, &wire.StatusRequest{})
	if err != nil {
		return Status{}, plain(err)
	}
	var st Status
	if err := json.Unmarshal(reply.Json, &st); err != nil {
		return Status{}, fmt.Errorf("status: %w", err)
	}
	return st, nil
}

// Path asks which way a message to the address would go now.
func (c *Client) Path(ctx context.Context, to message.URL) (Path, error) {
	reply, err := c.rpc.Path(ctx, &wire.PathRequest{To: string(to)})
	if err != nil {
		return Path{}, plain(err)
	}
	var p Path
	if err := json.Unmarshal(reply.Json, &p); err != nil {
		return Path{}, fmt.Errorf("path: %w", err)
	}
	return p, nil
}

// Reload replaces the running process of a plug-in; see [Backend].
func (c *Client) Reload(ctx context.Context, plugin string, restart bool) (Reloaded, error) {
	reply, err := c.rpc.Reload(ctx, &wire.ReloadRequest{Plugin: plugin, Restart: restart})
	if err != nil {
		return Reloaded{}, plain(err)
	}
	var r Reloaded
	if err := json.Unmarshal(reply.Json, &r); err != nil {
		return Reloaded{}, fmt.Errorf("reload: %w", err)
	}
	return r, nil
}

// Profile measures the process of a plug-in, or the runtime's own; see [Backend].
func (c *Client) Profile(ctx context.Context, plugin, kind string, seconds int) ([]byte, error) {
	if err := profile.Check(profile.Kind(kind), seconds); err != nil {
		return nil, err
	}
	stream, err := c.rpc.Profile(ctx, &wire.ProfileRequest{Plugin: plugin, Kind: kind, Seconds: uint32(max(seconds, 0))})
	if err != nil {
		return nil, plain(err)
	}
	var data []byte
	for {
		chunk, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return data, nil
		case err != nil:
			return nil, plain(err)
		case len(data)+len(chunk.Data) > profile.MaxSize:
			return nil, profile.ErrTooLarge
		}
		data = append(data, chunk.Data...)
	}
}

// Trace calls f for everything that the core does from now on, until ctx ends or the runtime does. ready, which may be
// nil, is called when the watching has begun. bodies: with the beginnings of messages, in clear. leftOut is how many events were lost before e because f was too slow.
func (c *Client) Trace(ctx context.Context, bodies bool, ready func(), f func(e trace.Event, leftOut uint64)) error {
	stream, err := c.rpc.Trace(ctx, &wire.TraceRequest{Bodies: bodies})
	if err != nil {
		return plain(err)
	}
	var leftOut uint64
	for first := true; ; first = false {
		batch, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF), ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return plain(err)
		}
		if first && ready != nil {
			ready()
		}
		leftOut += batch.LeftOut
		for _, text := range batch.Events {
			var e trace.Event
			if err := json.Unmarshal(text, &e); err != nil {
				return fmt.Errorf("trace: %w", err)
			}
			f(e, leftOut)
			leftOut = 0
		}
	}
}

// plain is an RPC's error without the words of the RPC.
func plain(err error) error {
	s := status.Convert(err)
	if s.Code() == codes.Canceled {
		return context.Canceled
	}
	return errors.New(s.Message())
}
