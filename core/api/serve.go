package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/protofly/protofly/core/trace"
	wire "github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/internal/profile"
	"github.com/protofly/protofly/sdk/message"
)

// Server is the application API being served.
type Server struct {
	wire.UnimplementedRuntimeServer
	shared *shared
	grpc   *grpc.Server
	front  *front
	done   chan struct{} // grpc.Serve has returned
}

// Serve starts serving on the socket. A socket that an earlier runtime left is replaced; where a runtime answers at
// it the error is an [InUseError].
func Serve(o Options) (*Server, error) {
	all := newShared(o)
	listener, err := listen(o.Socket, all.log, o.Plugin)
	if err != nil {
		return nil, fmt.Errorf("application API: %w", err)
	}
	s := &Server{shared: all, done: make(chan struct{})}
	s.grpc = grpc.NewServer(
		grpc.MaxRecvMsgSize(wire.MaxBatch), grpc.MaxSendMsgSize(wire.MaxBatch),
		grpc.MaxConcurrentStreams(maxStreams), grpc.MaxHeaderListSize(16<<10),
		grpc.InitialWindowSize(wire.MaxBatch), grpc.InitialConnWindowSize(2*wire.MaxBatch),
		grpc.ConnectionTimeout(openTime), grpc.WaitForHandlers(true),
		grpc.StatsHandler(calls{}), grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: idleTime}),
	)
	wire.RegisterRuntimeServer(s.grpc, s)
	s.front = newFront(all, listener)
	go func() {
		defer close(s.done)
		if err := s.grpc.Serve(s.front); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			s.shared.log.Error("application API ended", "error", err)
		}
	}()
	return s, nil
}

// Close ends every application's stream, unregisters their hyperties, and removes the socket. ctx bounds how long the
// hyperties may take; what is left then is the error.
func (s *Server) Close(ctx context.Context) error {
	s.shared.cancel()
	defer s.shared.hurry()
	defer context.AfterFunc(ctx, s.shared.hurry)()
	s.grpc.Stop() // waits for every call's end
	<-s.done
	_ = s.front.Close()
	s.front.work.Wait() // for every application's
	if s.shared.grace.Err() != nil {
		return fmt.Errorf("application API: hyperties were not unregistered in time: %w", ctx.Err())
	}
	return nil
}

// Attach refuses applications of earlier versions, whose stream was one of gRPC.
func (s *Server) Attach(stream grpc.BidiStreamingServer[wire.ApplicationBatch, wire.RuntimeBatch]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if len(first.Frames) == 0 || first.Frames[0].GetHello() == nil {
		return status.Error(codes.InvalidArgument, "an application begins with Hello")
	}
	return status.Error(codes.FailedPrecondition, tooOld(first.Frames[0].GetHello().Protocol))
}

// Status is the RPC.
func (s *Server) Status(ctx context.Context, _ *wire.StatusRequest) (*wire.StatusReply, error) {
	st, err := s.shared.o.Backend.Status(ctx)
	if err != nil {
		return nil, asStatus(err)
	}
	text, err := st.encode()
	if err != nil {
		return nil, asStatus(err)
	}
	return &wire.StatusReply{Json: text}, nil
}

// Path is the RPC.
func (s *Server) Path(ctx context.Context, r *wire.PathRequest) (*wire.PathReply, error) {
	to, err := message.ParseURL(r.To)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	p, err := s.shared.o.Backend.Path(ctx, to)
	if err != nil {
		return nil, asStatus(err)
	}
	text, err := json.Marshal(p)
	if err != nil {
		return nil, asStatus(err)
	}
	return &wire.PathReply{Json: text}, nil
}

// Reload is the RPC.
func (s *Server) Reload(ctx context.Context, r *wire.ReloadRequest) (*wire.ReloadReply, error) {
	done, err := s.shared.o.Backend.Reload(ctx, r.Plugin, r.Restart)
	if err != nil {
		return nil, asStatus(err)
	}
	text, err := json.Marshal(done)
	if err != nil {
		return nil, asStatus(err)
	}
	return &wire.ReloadReply{Json: text}, nil
}

// Profile is the RPC.
func (s *Server) Profile(r *wire.ProfileRequest, stream grpc.ServerStreamingServer[wire.ProfileChunk]) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	defer context.AfterFunc(s.shared.ctx, cancel)()
	if r.Seconds > profile.MaxSeconds {
		return status.Errorf(codes.InvalidArgument, "a profile over %d seconds: at most %d are possible", r.Seconds, profile.MaxSeconds)
	}
	data, err := s.shared.o.Backend.Profile(ctx, r.Plugin, r.Kind, int(r.Seconds))
	if err != nil {
		return asStatus(err)
	}
	for piece := range slices.Chunk(data, profile.ChunkSize) {
		if err := stream.Send(&wire.ProfileChunk{Data: piece}); err != nil {
			return err
		}
	}
	return nil
}

// Trace is the RPC.
func (s *Server) Trace(r *wire.TraceRequest, stream grpc.ServerStreamingServer[wire.TraceBatch]) error {
	var mu sync.Mutex
	var events []trace.Event
	var leftOut uint64
	kick := make(chan struct{}, 1)
	stop := s.shared.o.Backend.Watch(func(e trace.Event) {
		mu.Lock()
		if len(events) < traceBuffer {
			events = append(events, e)
		} else {
			leftOut++
		}
		mu.Unlock()
		select {
		case kick <- struct{}{}:
		default:
		}
	}, r.Bodies)
	defer stop()
	if err := stream.Send(&wire.TraceBatch{}); err != nil { // says: from now on
		return err
	}
	for {
		select {
		case <-kick:
		case <-stream.Context().Done():
			return nil
		case <-s.shared.ctx.Done():
			return status.Error(codes.Unavailable, "the runtime ends")
		}
		mu.Lock()
		batch := &wire.TraceBatch{LeftOut: leftOut}
		taken := events
		events, leftOut = nil, 0
		mu.Unlock()
		for _, e := range taken {
			text, err := json.Marshal(e)
			if err != nil {
				batch.LeftOut++
				continue
			}
			batch.Events = append(batch.Events, text)
			if len(batch.Events) == 512 {
				if err := stream.Send(batch); err != nil {
					return err
				}
				batch = &wire.TraceBatch{}
			}
		}
		if err := stream.Send(batch); err != nil {
			return err
		}
	}
}

// asStatus is err as an RPC's error.
func asStatus(err error) error {
	var response *message.ResponseError
	code := codes.Internal
	switch {
	case errors.As(err, &response) && response.Code == message.CodeNotFound:
		code = codes.NotFound
	case errors.As(err, &response), errors.Is(err, context.DeadlineExceeded):
		code = codes.Unavailable
	}
	return status.Error(code, err.Error())
}
