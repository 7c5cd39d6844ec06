//go:build unix

package stubhost_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/internal/link/linkpb"
	"github.com/protofly/protofly/sdk/message"
)

// misfit speaks the link's protocol without the sdk and uses up whatever it can.
type misfit struct {
	linkpb.UnimplementedPluginServer
	name string
}

const someDoors = 200_000 // doors that a misfit asks for and that are refused

func (p misfit) Link(s grpc.BidiStreamingServer[linkpb.Batch, linkpb.Batch]) error {
	send := func(f *linkpb.Frame) error { return s.Send(&linkpb.Batch{Frames: []*linkpb.Frame{f}}) }
	hello := &linkpb.Hello{Name: p.name, Version: "1"}
	if p.name == "talker" {
		hello.Version = strings.Repeat("v", 3<<20)
	}
	if err := send(&linkpb.Frame{Kind: &linkpb.Frame_Hello{Hello: hello}}); err != nil {
		return err
	}
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
			if err := send(&linkpb.Frame{Instance: f.Instance, Kind: &linkpb.Frame_Started{Started: &linkpb.Started{}}}); err != nil {
				return err
			}
			if err := p.misbehave(f.Instance, start, s.Send); err != nil {
				return err
			}
		}
	}
}

func (p misfit) misbehave(instance uint32, start *linkpb.Start, send func(*linkpb.Batch) error) error {
	switch p.name {
	case "doors":
		for n := uint32(1); n < someDoors; {
			var b linkpb.Batch
			for range 1000 {
				b.Frames = append(b.Frames, &linkpb.Frame{Instance: instance,
					Kind: &linkpb.Frame_OpenDoor{OpenDoor: &linkpb.OpenDoor{Door: n, Url: "hyperty://somebody.example/else"}}})
				n++
			}
			if err := send(&b); err != nil {
				return err
			}
		}
	case "garbler":
		for range 1000 {
			if err := send(&linkpb.Batch{Frames: []*linkpb.Frame{{Instance: instance,
				Kind: &linkpb.Frame_Message{Message: []byte("no message")}}}}); err != nil {
				return err
			}
		}
	case "talker":
		status := message.Message{Type: message.Update, From: message.URL(start.Url), To: message.URL(start.Url).Join("status"),
			Body: message.Encode(map[string]string{"value": "in-progress", "desc": strings.Repeat("d", 900<<10)})}
		if err := send(&linkpb.Batch{Frames: []*linkpb.Frame{{Instance: instance,
			Kind: &linkpb.Frame_Message{Message: status.AppendBinary(nil)}}}}); err != nil {
			return err
		}
		return send(&linkpb.Batch{Frames: []*linkpb.Frame{{Instance: instance,
			Kind: &linkpb.Frame_Ended{Ended: &linkpb.Ended{Error: strings.Repeat("e", 39<<20/10)}}}}})
	case "hoarder":
		for n := range 256 {
			if err := os.WriteFile(filepath.Join(os.Getenv("HOME"), fmt.Sprint("file", n)), make([]byte, 1<<20), 0o600); err != nil {
				return err
			}
		}
	case "loud":
		line := strings.Repeat("x", 4000)
		out := os.NewFile(2, "the process's own") // os.Stderr goes over the link
		for range 44 << 20 / 4000 {
			if _, err := fmt.Fprintln(out, `{"@level":"warn","@message":"`+line+`"}`); err != nil {
				return err
			}
		}
		done := message.Message{Type: message.Update, From: message.URL(start.Url), To: message.URL(start.Url).Join("status"),
			Body: message.Encode(map[string]string{"value": "live"})}
		return send(&linkpb.Batch{Frames: []*linkpb.Frame{{Instance: instance, Kind: &linkpb.Frame_Message{Message: done.AppendBinary(nil)}}}})
	}
	return nil
}

// deployMisfit deploys a misfit beside a good plug-in, and waits until it is killed for the reason says.
func (c *core) deployMisfit(name, says string) stubhost.PluginState {
	c.t.Helper()
	good := stubURL("good")
	c.deploy("echo", good)
	c.deploy(name, stubURL(name))
	late := time.After(time.Minute)
	for {
		for _, s := range c.host.Plugins() {
			if s.Name == name && strings.Contains(s.LastError, says) {
				if _, restarted := c.pid(good); restarted {
					c.t.Error("it has harmed a good one")
				}
				return s
			}
		}
		select {
		case <-late:
			c.t.Fatalf("nobody says %q: %.2000s", says, fmt.Sprint(c.host.Plugins()))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func slow(o *stubhost.Options) { quick(o); o.BackoffMin, o.BackoffMax = time.Minute, time.Minute }

func TestRefusedDoorsEndThePlugin(t *testing.T) {
	var lines counter
	var before, after runtime.MemStats
	c := newCore(t, func(o *stubhost.Options) { slow(o); o.Log = lines.logger() })
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := c.deployMisfit("doors", "opens a door that is not its own")
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := lines.n.Load(); n > 200 {
		t.Errorf("%d lines were logged", n)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	if s.Restarts != 1 || s.State == stubhost.Running {
		t.Errorf("state: %+v", s)
	}
}

func TestUnreadableMessagesEndThePlugin(t *testing.T) {
	var lines counter
	c := newCore(t, func(o *stubhost.Options) { slow(o); o.Log = lines.logger() })
	c.deployMisfit("garbler", "a message that cannot be read")
	if n := lines.n.Load(); n > 200 {
		t.Errorf("%d lines were logged", n)
	}
}

func TestTextsOfAPluginAreBounded(t *testing.T) {
	c := newCore(t, slow)
	s := c.deployMisfit("talker", "eeee")
	if len(s.Version) > 110 || len(s.LastError) > 1100 {
		t.Errorf("a version of %d bytes, a last error of %d", len(s.Version), len(s.LastError))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.messages {
		var b struct{ Value, Desc string }
		if json.Unmarshal(m.Body, &b) == nil && len(m.Body) > 3000 {
			t.Errorf("a status %q with %d bytes", b.Value, len(m.Body))
		}
	}
	if len(c.messages) < 2 {
		t.Errorf("messages: %d", len(c.messages))
	}
}

func TestFolderOfAPluginIsBounded(t *testing.T) {
	t.Parallel()
	c := newCore(t, func(o *stubhost.Options) { slow(o); o.Quota = 8 << 20 })
	c.deployMisfit("hoarder", "keeps more in its folder than it may: 8388608 bytes")
}

func TestLogOfAPluginIsBounded(t *testing.T) {
	t.Parallel()
	var lines counter
	c := newCore(t, func(o *stubhost.Options) { slow(o); o.Log = lines.logger() })
	c.deploy("loud", stubURL("loud"))
	c.until("it to have said everything", func() bool { return len(c.statuses(stubURL("loud"))) > 0 })
	if err := c.host.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := lines.bytes.Load(); n > 2<<20 {
		t.Errorf("%d bytes were logged", n)
	}
	if !lines.contains("lines were dropped") {
		t.Error("nobody tells that lines were dropped")
	}
}
