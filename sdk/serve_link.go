package sdk

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protofly/protofly/internal/link"
	"github.com/protofly/protofly/internal/link/linkpb"
	"github.com/protofly/protofly/sdk/message"
)

// linkServer is the plug-in's end of the link: it runs instances of a stub as the host asks.
type linkServer struct {
	linkpb.UnimplementedPluginServer
	descriptor Descriptor
	stub       Stub
	log        hclog.Logger
	pipes      *link.Pipes // that the host has given; nil: none

	ctx    context.Context // of the instances
	cancel context.CancelFunc
	opened chan struct{} // closed when the host has opened the link
	ended  chan struct{} // closed when the link has ended

	mu        sync.Mutex
	conn      *link.Conn
	hangUp    context.CancelFunc // ends the link
	stopping  bool
	instances map[uint32]*instance
	wg        sync.WaitGroup // instances
}

// newLinkServer makes the plug-in's end of one link. It must be stopped.
func newLinkServer(d Descriptor, stub Stub, log hclog.Logger) *linkServer {
	ctx, cancel := context.WithCancel(context.Background())
	return &linkServer{descriptor: d, stub: stub, log: log, ctx: ctx, cancel: cancel,
		opened: make(chan struct{}), ended: make(chan struct{}), instances: map[uint32]*instance{}}
}

// UsePipes makes the link use pipes of which the host has the other ends; nil changes nothing. It is called before the host
// opens the link.
func (s *linkServer) UsePipes(pipes *link.Pipes) { s.pipes = pipes }

// Link serves the link; see linkpb.PluginServer. There is one in the life of a plug-in.
func (s *linkServer) Link(stream grpc.BidiStreamingServer[linkpb.Batch, linkpb.Batch]) error {
	s.mu.Lock()
	if s.conn != nil || s.stopping {
		s.mu.Unlock()
		return status.Error(codes.FailedPrecondition, "this plug-in has had its link")
	}
	if s.pipes != nil {
		s.conn = link.NewOnPipes(s.pipes, s)
	} else {
		s.conn = link.New(stream, s)
	}
	ctx, hangUp := context.WithCancel(stream.Context())
	defer hangUp()
	s.hangUp = hangUp
	s.mu.Unlock()
	close(s.opened)
	err := link.Greet(stream, &linkpb.Hello{
		Name: strings.ToValidUTF8(s.descriptor.Name, "?"), Version: strings.ToValidUTF8(s.descriptor.Version, "?"),
		Kind: string(s.descriptor.Kind), Pipes: s.pipes != nil})
	if err != nil {
		hangUp() // nobody is there any more
	}
	err = s.conn.Run(ctx)
	s.cancel()
	close(s.ended)
	var broken *link.ProtocolError
	if errors.As(err, &broken) {
		s.log.Error("the link has ended", "error", err)
		return status.Error(codes.InvalidArgument, err.Error())
	}
	return nil
}

// Control is the link's control frames; see link.Handler. Kinds that only a plug-in sends are ignored.
func (s *linkServer) Control(f *linkpb.Frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.instances[f.Instance]
	switch k := f.Kind.(type) {
	case *linkpb.Frame_Start:
		if i != nil || f.Instance == 0 {
			return &link.ProtocolError{What: "an instance's number was used twice"}
		}
		if s.stopping {
			return nil
		}
		i, err := newInstance(s, f.Instance, k.Start)
		if err != nil {
			s.sendEnded(f.Instance, err)
			return nil
		}
		s.instances[f.Instance] = i
		s.wg.Go(func() { i.run(s.ctx) })
	case *linkpb.Frame_Stop:
		if i != nil {
			i.cancel()
		}
	case *linkpb.Frame_CloseDoor:
		if i != nil {
			i.doors.refused(k.CloseDoor.Door)
		}
	}
	return nil
}

// forget takes an instance that has ended out of the table and tells the host.
func (s *linkServer) forget(number uint32, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.instances, number)
	s.sendEnded(number, err)
}

func (s *linkServer) sendEnded(number uint32, err error) {
	s.conn.Control(&linkpb.Frame{Instance: number, Kind: &linkpb.Frame_Ended{Ended: &linkpb.Ended{Error: errorText(err)}}})
}

// Stop ends every instance and waits until they have, or ctx ends; then it says so. What they sent reaches the host,
// and then the link ends.
func (s *linkServer) Stop(ctx context.Context) error {
	s.mu.Lock()
	s.stopping = true
	conn, hangUp := s.conn, s.hangUp
	s.mu.Unlock()
	s.cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.wg.Wait()
	}()
	select {
	case <-done:
	case <-ctx.Done():
		return errors.New("an instance does not end when its context does")
	}
	if conn != nil {
		conn.Flush(ctx)
		hangUp()
	}
	return nil
}

// Wait returns when the link's goroutines have ended, which they do after the server that carries it has.
func (s *linkServer) Wait() {
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	if conn != nil {
		conn.Wait()
	}
}

// startOf reads what the host says of an instance.
func startOf(f *linkpb.Start) (Start, error) {
	s := Start{Role: Role(f.Role), Domain: f.Domain, Config: f.Config, Restarted: f.Restarted}
	var err error
	for _, u := range []struct {
		to   *message.URL
		text string
	}{{&s.URL, f.Url}, {&s.Runtime, f.Runtime}, {&s.Remote, f.Remote}, {&s.Handler, f.Handler}} {
		if u.text == "" {
			continue
		}
		if *u.to, err = message.ParseURL(u.text); err != nil {
			return Start{}, err
		}
	}
	if s.URL == "" || s.Runtime == "" {
		return Start{}, errors.New("the host gave no stub URL or no runtime URL")
	}
	if len(s.Config) > link.MaxConfig {
		return Start{}, errors.New("the configuration is too large")
	}
	return s, nil
}
