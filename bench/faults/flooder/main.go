// Flooder is a P2P plug-in that floods its own runtime. It is for tests alone. It implements the link itself, since the SDK would
// refuse most of what it does. Its configuration names the kind of flood (see harms). It carries no data, and writes to a file how
// much it has done.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/protofly/protofly/internal/link"
	"github.com/protofly/protofly/internal/link/linkpb"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// harms are the kinds of floods: each function is called again and again, with the number of the call.
var harms = map[string]func(f *flood, i uint32) error{
	"errors": func(_ *flood, i uint32) error { return logLine(standardError, i) },
	"stdio":  func(_ *flood, i uint32) error { return logLine(os.Stderr, i) }, // standard output, which go-plugin carries
	"doors": func(f *flood, i uint32) error {
		f.conn.Control(&linkpb.Frame{Instance: f.instance, Kind: &linkpb.Frame_OpenDoor{OpenDoor: &linkpb.OpenDoor{
			Door: i + 1, Url: string(f.runtime.Join("registry", fmt.Sprint(i)))}}})
		if i%1000 == 0 {
			f.conn.Flush(f.ctx)
		}
		return f.ctx.Err()
	},
	"names": func(f *flood, i uint32) error {
		m := message.Message{ID: message.NumberID(uint64(i) + 1), Type: message.Response, From: message.URL("hyperty://" + f.runtime.Domain() + "/alice"),
			To: f.runtime.Join("registry"), Body: message.Encode(map[string]any{"code": 200, "value": long})}
		if i%2 == 0 {
			m.Type = message.Read
		}
		return f.post(m)
	},
	"asks": func(f *flood, i uint32) error {
		return f.post(message.Message{ID: message.NumberID(uint64(i) + 1), Type: message.Read, From: f.url, To: f.runtime.Join("registry"),
			Body: message.Encode(map[string]any{"resource": fmt.Sprintf("hyperty://%s/%d", f.runtime.Domain(), i)})})
	},
	"statuses": func(f *flood, i uint32) error {
		return f.post(message.Message{ID: message.NumberID(uint64(i) + 1), Type: message.Update, From: f.url, To: f.url.Join("status"),
			Body: message.Encode(map[string]any{"value": "live", "resource": fmt.Sprintf("hyperty-runtime://%s/%d", f.runtime.Domain(), i), "desc": long})})
	},
	"frames": func(f *flood, i uint32) error {
		if i == 0 {
			f.conn.Control(&linkpb.Frame{Instance: f.instance, Kind: &linkpb.Frame_OpenDoor{OpenDoor: &linkpb.OpenDoor{Door: 1, Url: string(f.url)}}})
		}
		return f.frames.Send(f.ctx, link.Frame{Peer: f.runtime, Payload: []byte(long[:i%1000])})
	},
}

// standardError is the process's own standard error, while os.Stderr goes over the link.
var standardError = os.NewFile(2, "stderr")

const countEvery = 100 * time.Millisecond

var long = strings.Repeat("x", 4<<10)

func logLine(out *os.File, i uint32) error {
	_, err := fmt.Fprintf(out, `{"@level":"error","@message":"of no use %d","text":"%s","forged\nkey":"\u001b[2J"}`+"\n", i, long)
	return err
}

func main() {
	d := sdk.Descriptor{Name: "flooder", Version: "0.0.0-hostile", Kind: sdk.KindP2P, About: "WRITTEN TO DO HARM, for tests"}
	if len(os.Args) > 1 && os.Args[1] == "--describe" {
		_ = json.NewEncoder(os.Stdout).Encode(d)
		return
	}
	goplugin.Serve(&goplugin.ServeConfig{HandshakeConfig: link.Handshake(), VersionedPlugins: link.Plugins(&flooder{Descriptor: d}),
		GRPCServer: func(o []grpc.ServerOption) *grpc.Server { return grpc.NewServer(append(o, link.ServerOptions()...)...) }})
}

// flooder is the plug-in's side of the link.
type flooder struct {
	linkpb.UnimplementedPluginServer
	sdk.Descriptor

	mu   sync.Mutex
	conn *link.Conn
}

// Link serves the link.
func (p *flooder) Link(s grpc.BidiStreamingServer[linkpb.Batch, linkpb.Batch]) error {
	pipes, err := link.InheritedPipes()
	if err != nil {
		return err
	}
	p.mu.Lock()
	if pipes != nil {
		p.conn = link.NewOnPipes(pipes, p)
	} else {
		p.conn = link.New(s, p)
	}
	p.mu.Unlock()
	if err := link.Greet(s, &linkpb.Hello{Name: p.Name, Version: p.Version, Kind: string(p.Kind), Pipes: pipes != nil}); err != nil {
		return err
	}
	return p.conn.Run(s.Context())
}

// Control begins to flood for each instance that the host starts.
func (p *flooder) Control(f *linkpb.Frame) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch k := f.Kind.(type) {
	case *linkpb.Frame_Start:
		p.conn.Control(&linkpb.Frame{Instance: f.Instance, Kind: &linkpb.Frame_Started{Started: &linkpb.Started{}}})
		flood := &flood{conn: p.conn, messages: p.conn.Lane(f.Instance, 0), frames: p.conn.Lane(f.Instance, 1), instance: f.Instance, url: message.URL(k.Start.Url), runtime: message.URL(k.Start.Runtime)}
		if err := json.Unmarshal(k.Start.Config, &flood.config); err != nil {
			return err
		}
		go flood.run()
	case *linkpb.Frame_Stop:
		p.conn.Control(&linkpb.Frame{Instance: f.Instance, Kind: &linkpb.Frame_Ended{Ended: &linkpb.Ended{}}})
	}
	return nil
}

// flood is the harm of one instance.
type flood struct {
	ctx              context.Context
	conn             *link.Conn
	messages, frames *link.Lane
	instance         uint32
	url, runtime     message.URL
	config           struct {
		Harm  string `json:"harm"`
		From  int64  `json:"from"`  // when it begins, in Unix time,
		Until int64  `json:"until"` // and ends
	}
}

func (f *flood) run() {
	time.Sleep(time.Until(time.Unix(f.config.From, 0)))
	var cancel context.CancelFunc
	f.ctx, cancel = context.WithDeadline(context.Background(), time.Unix(f.config.Until, 0))
	defer cancel()
	harm, counted := harms[f.config.Harm], time.Now()
	for i := uint32(0); f.ctx.Err() == nil && harm(f, i) == nil; i++ {
		if time.Since(counted) > countEvery {
			counted = time.Now()
			_ = os.WriteFile(filepath.Join(os.Getenv("HOME"), "count"), fmt.Append(nil, i), 0o600)
		}
	}
}

// post sends a message when the window has room: beyond the window the host would end the link.
func (f *flood) post(m message.Message) error {
	return f.messages.Send(f.ctx, link.Frame{Payload: m.AppendBinary(nil)})
}
