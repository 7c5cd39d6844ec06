package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protofly/protofly/internal/link/linkpb"
	"github.com/protofly/protofly/internal/profile"
)

// ErrNoProfiles says that a plug-in cannot take profiles.
var ErrNoProfiles = errors.New("it takes no profiles: it was not made with this project's SDK for Go, or with an older one")

// Profile makes the plug-in at the other end of conn take a profile of its process; see profile.Take. profile.MaxSize and ctx
// bound it. If the plug-in cannot, the error is [ErrNoProfiles].
func Profile(ctx context.Context, conn grpc.ClientConnInterface, kind profile.Kind, seconds int) ([]byte, error) {
	if err := profile.Check(kind, seconds); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx) // ends the call if Profile gives up
	defer cancel()
	stream, err := linkpb.NewPluginClient(conn).Profile(ctx, &linkpb.ProfileRequest{Kind: string(kind), Seconds: uint32(max(seconds, 0))})
	var data []byte
	for err == nil {
		var chunk *linkpb.ProfileChunk
		if chunk, err = stream.Recv(); err != nil {
			break
		}
		if len(data)+len(chunk.Data) > profile.MaxSize {
			return nil, profile.ErrTooLarge
		}
		data = append(data, chunk.Data...)
	}
	if code := status.Code(err); code == codes.Canceled || code == codes.DeadlineExceeded {
		// The plug-in knows ctx's deadline, and its clock may have reached it first.
		if due, ok := ctx.Deadline(); ok && time.Until(due) < time.Second {
			<-ctx.Done()
		}
	}
	switch {
	case errors.Is(err, io.EOF) && len(data) > 0:
		return data, nil
	case errors.Is(err, io.EOF):
		return nil, errors.New("it sent an empty profile")
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case status.Code(err) == codes.Unimplemented:
		return nil, ErrNoProfiles
	}
	return nil, fmt.Errorf("%.512s", status.Convert(err).Message())
}
