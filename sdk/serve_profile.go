package sdk

import (
	"errors"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protofly/protofly/internal/link/linkpb"
	"github.com/protofly/protofly/internal/profile"
)

// Profile measures this process for the host; see linkpb.PluginServer.
func (s *linkServer) Profile(r *linkpb.ProfileRequest, stream grpc.ServerStreamingServer[linkpb.ProfileChunk]) error {
	seconds := int(min(r.Seconds, profile.MaxSeconds+1)) // an int may be as small as r's
	if err := profile.Check(profile.Kind(r.Kind), seconds); err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	data, err := profile.Take(stream.Context(), profile.Kind(r.Kind), seconds)
	switch {
	case errors.Is(err, profile.ErrBusy), errors.Is(err, profile.ErrTooLarge):
		return status.Error(codes.ResourceExhausted, err.Error())
	case err != nil:
		return status.FromContextError(err).Err()
	}
	for piece := range slices.Chunk(data, profile.ChunkSize) {
		if err := stream.Send(&linkpb.ProfileChunk{Data: piece}); err != nil {
			return err
		}
	}
	return nil
}
