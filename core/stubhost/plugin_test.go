//go:build unix

package stubhost_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/protofly/protofly/internal/link"
	"github.com/protofly/protofly/internal/link/linkpb"
	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// The test binary is also the plug-in: if a host has started it, it behaves as the name of its executable says.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && special(os.Args[1:]) {
		return
	}
	if os.Getenv(link.Handshake().MagicCookieKey) != "" {
		bePlugin(strings.TrimRight(os.Args[0], "0123456789"))
		return
	}
	if len(os.Args) > 1 && os.Args[1] == beHostFlag {
		beHost(os.Args[2])
		return
	}
	longtest.Parallel(8)
	goleak.VerifyTestMain(m)
}

func bePlugin(name string) {
	if strings.HasSuffix(name, "/interpreter") { // of a script
		name, os.Args[0] = "script", "script"
	}
	switch name {
	case "garbage":
		fmt.Println("hello, I am a program")
		time.Sleep(time.Minute)
	case "silent":
		time.Sleep(time.Minute)
	case "quitter":
		fmt.Fprintln(os.Stderr, "I cannot find my files")
		os.Exit(3)
	case "elsewhere":
		fmt.Println("1|1|tcp|127.0.0.1:1|grpc|")
		time.Sleep(time.Minute)
	case "deaf": // a good handshake, but no server behind the socket
		if _, err := net.Listen("unix", os.Getenv("PLUGIN_UNIX_SOCKET_DIR")+"/plugin1"); err != nil {
			panic(err)
		}
		fmt.Printf("1|1|unix|%s/plugin1|grpc|\n", os.Getenv("PLUGIN_UNIX_SOCKET_DIR"))
		time.Sleep(time.Minute)
	case "future":
		goplugin.Serve(&goplugin.ServeConfig{HandshakeConfig: link.Handshake(),
			VersionedPlugins: map[int]goplugin.PluginSet{7: link.Plugins(nil)[link.ProtocolVersion]},
			GRPCServer:       goplugin.DefaultGRPCServer})
	case "outlaw":
		goplugin.Serve(&goplugin.ServeConfig{HandshakeConfig: link.Handshake(),
			VersionedPlugins: link.Plugins(outlaw{}), GRPCServer: goplugin.DefaultGRPCServer})
	case "foreign", "flood":
		goplugin.Serve(&goplugin.ServeConfig{HandshakeConfig: link.Handshake(),
			VersionedPlugins: link.Plugins(foreign{name: name}), GRPCServer: goplugin.DefaultGRPCServer})
	case "daemon":
		beDaemon()
	case "hydra":
		beHydra()
	case "doors", "talker", "garbler", "hoarder", "loud":
		goplugin.Serve(&goplugin.ServeConfig{HandshakeConfig: link.Handshake(),
			VersionedPlugins: link.Plugins(misfit{name: name}), GRPCServer: goplugin.DefaultGRPCServer})
	case "stubborn": // ends neither its instances nor itself
		os.Args[0] = "echo"
		sdk.Serve(sdk.Descriptor{Name: "stubborn", Version: "1", Kind: sdk.KindP2P}, stubborn{})
	case "asker":
		sdk.Serve(sdk.Descriptor{Name: "asker", Version: "1", Kind: sdk.KindP2P}, asker{})
	case "bringer":
		sdk.Serve(sdk.Descriptor{Name: "bringer", Version: "1", Kind: sdk.KindP2P}, bringer{})
	case "impostor":
		sdk.Serve(sdk.Descriptor{Name: "echo", Version: "1", Kind: sdk.KindP2P}, echo{})
	case "exclusive": // no two can run at a time
		sdk.Serve(sdk.Descriptor{Name: "exclusive", Version: "1", Kind: sdk.KindP2P}, exclusive{})
	default:
		sdk.Serve(sdk.Descriptor{Name: os.Args[0], Version: "1.2.3", Kind: sdk.KindP2P}, echo{})
	}
}

// outlaw speaks the link's protocol without the sdk and breaks its rules: it sends more than the window.
type outlaw struct {
	linkpb.UnimplementedPluginServer
}

func (outlaw) Link(s grpc.BidiStreamingServer[linkpb.Batch, linkpb.Batch]) error {
	send := func(f *linkpb.Frame) { _ = s.Send(&linkpb.Batch{Frames: []*linkpb.Frame{f}}) }
	send(&linkpb.Frame{Kind: &linkpb.Frame_Hello{Hello: &linkpb.Hello{Name: "outlaw"}}})
	for {
		b, err := s.Recv()
		if err != nil {
			return err
		}
		for _, f := range b.Frames {
			start := f.GetStart()
			if start == nil {
				continue
			}
			send(&linkpb.Frame{Instance: f.Instance, Kind: &linkpb.Frame_Started{Started: &linkpb.Started{}}})
			send(&linkpb.Frame{Instance: f.Instance, Kind: &linkpb.Frame_OpenDoor{OpenDoor: &linkpb.OpenDoor{Door: 1, Url: start.Url}}})
			for range 64 {
				send(&linkpb.Frame{Instance: f.Instance, Kind: &linkpb.Frame_Data{Data: &linkpb.Data{Door: 1, Payload: make([]byte, 64<<10)}}})
			}
		}
	}
}

// foreign speaks the link's protocol without the sdk, as a plug-in in another language does, and has no profiles; flood's
// profile never ends.
type foreign struct {
	linkpb.UnimplementedPluginServer
	name string
}

func (p foreign) Link(s grpc.BidiStreamingServer[linkpb.Batch, linkpb.Batch]) error {
	_ = s.Send(&linkpb.Batch{Frames: []*linkpb.Frame{{Kind: &linkpb.Frame_Hello{Hello: &linkpb.Hello{Name: p.name}}}}})
	for {
		b, err := s.Recv()
		if err != nil {
			return err
		}
		for _, f := range b.Frames {
			answer := &linkpb.Frame{Instance: f.Instance}
			switch f.Kind.(type) {
			case *linkpb.Frame_Start:
				answer.Kind = &linkpb.Frame_Started{Started: &linkpb.Started{}}
			case *linkpb.Frame_Stop:
				answer.Kind = &linkpb.Frame_Ended{Ended: &linkpb.Ended{}}
			}
			_ = s.Send(&linkpb.Batch{Frames: []*linkpb.Frame{answer}})
		}
	}
}

func (p foreign) Profile(r *linkpb.ProfileRequest, s grpc.ServerStreamingServer[linkpb.ProfileChunk]) error {
	if p.name == "foreign" {
		return p.UnimplementedPluginServer.Profile(r, s)
	}
	for {
		if err := s.Send(&linkpb.ProfileChunk{Data: make([]byte, 1<<20)}); err != nil {
			return err
		}
	}
}

type stubborn struct{}

func (stubborn) Run(_ context.Context, bus message.Bus, s sdk.Start) error {
	_ = bus.Post(context.Background(), status(s.URL, "", "live"))
	select {}
}

// exclusive is an echo that listens at a port of its configuration.
type exclusive struct{ echo }

func (e exclusive) Run(ctx context.Context, bus message.Bus, s sdk.Start) error {
	var c struct{ Listen string }
	if err := json.Unmarshal(s.Config, &c); err != nil {
		return err
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return err
	}
	defer l.Close()
	return e.echo.Run(ctx, bus, s)
}

// echo is a stub that sends frames and messages back, and does what execute messages order.
type echo struct{}

func (echo) Run(ctx context.Context, bus message.Bus, s sdk.Start) error {
	ended := make(chan error, 1)
	stop := bus.Listen(s.URL, func(hctx context.Context, m message.Message) {
		var b struct{ Method, Value, Resource, Door string }
		if m.Type != message.Execute || m.Decode(&b) != nil {
			return
		}
		switch b.Method {
		case "panic":
			panic("the stub's own panic")
		case "exit":
			os.Exit(4)
		case "return":
			ended <- errors.New("I give up")
		case "status":
			_ = bus.Post(hctx, status(s.URL, message.URL(b.Resource), b.Value))
		case "open":
			door, err := s.Doors.Open(message.URL(b.Door))
			if err != nil {
				_ = bus.Post(hctx, m.Refuse(message.CodeConflict, "%v", err))
				return
			}
			go serveDoor(ctx, door, b.Value)
		case "attack":
			_ = bus.Post(hctx, m.Respond(200, attack(b.Value)))
			return
		case "needs":
			_ = bus.Post(hctx, m.Respond(200, needs(b.Value)))
			return
		case "orphan":
			pid, err := leaveOrphan(b.Value)
			if err != nil {
				_ = bus.Post(hctx, m.Refuse(500, "%v", err))
				return
			}
			_ = bus.Post(hctx, m.Respond(200, pid))
			return
		case "child": // it would outlive its parent, and holds its pipes
			cmd := exec.Command("/bin/sleep", "300")
			cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
			if err := cmd.Start(); err != nil {
				_ = bus.Post(hctx, m.Refuse(500, "%v", err))
				return
			}
			_ = bus.Post(hctx, m.Respond(200, cmd.Process.Pid))
			return
		case "print":
			fmt.Println("a line on standard output")
			fmt.Fprintln(os.Stderr, "a line on standard error")
		case "env":
			_ = bus.Post(hctx, m.Respond(200, os.Environ()))
			return
		}
		_ = bus.Post(hctx, m.Respond(200, map[string]any{"restarted": s.Restarted, "pid": os.Getpid(), "config": s.Config}))
	})
	defer stop()
	door, err := s.Doors.Open(s.URL)
	if err != nil {
		return err
	}
	go serveDoor(ctx, door, "echo")
	if err := bus.Post(ctx, status(s.URL, "", "created")); err != nil {
		return err
	}
	if strings.Contains(string(s.Config), `"connects"`) {
		if err := bus.Post(ctx, status(s.URL, "", "live")); err != nil {
			return err
		}
	}
	select {
	case <-ctx.Done():
		_ = bus.Post(ctx, status(s.URL, "", "disconnected"))
		return nil
	case err := <-ended:
		return err
	}
}

// serveDoor sends frames back; "sink" only the last frame of a benchmark, "deaf" receives nothing.
func serveDoor(ctx context.Context, door sdk.Door, how string) {
	for how == "sink" {
		frames, err := door.Recv(ctx)
		if err != nil {
			return
		}
		if last := frames[len(frames)-1]; last.Payload[0] == 'z' && door.Send(ctx, last) != nil {
			return
		}
	}
	for how == "echo" {
		frames, err := door.Recv(ctx)
		if err != nil {
			return
		}
		if door.Send(ctx, frames...) != nil {
			return
		}
	}
	<-ctx.Done()
}

func status(stub, resource message.URL, value string) message.Message {
	b := map[string]any{"value": value}
	if resource != "" {
		b["resource"] = resource
	}
	return message.Message{Type: message.Update, From: stub, To: stub.Join("status"), Body: message.Encode(b)}
}
