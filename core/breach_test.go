package core_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/internal/gobuild"
	"github.com/protofly/protofly/sdk/message"
)

// hostileWebRTC is a folder with the plug-ins, the one for WebRTC being one that breaks the protocol a second after it has
// connected.
func hostileWebRTC(t *testing.T) string {
	t.Helper()
	build(t)
	dir := shortDir(t)
	if err := os.CopyFS(dir, os.DirFS(built.plugins)); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(shortDir(t), "hostile-webrtc")
	if err := gobuild.Program(t.Context(), program, "plugins/webrtc/hostile-webrtc"); err != nil {
		t.Fatal(err)
	}
	if d, err := catalogue.Install(t.Context(), program, dir); err != nil || d.Name != "webrtc" {
		t.Fatalf("%+v, %v", d, err)
	}
	return dir
}

// Why a connection has ended stands in the status where the peer broke the protocol, and the messages go on over the relay.
func TestBrokenProtocolIsInTheStatus(t *testing.T) {
	t.Parallel()
	hostile := hostileWebRTC(t)
	node := startNode(t, "example.com")
	o := func(name string) runtimeOptions {
		return runtimeOptions{name: name, nodes: []*nodeProcess{node}, use: []string{"webrtc"}}
	}
	a := startRuntime(t, o("a"))
	evil := o("b")
	evil.change = func(c *core.Config) { c.PluginDir = hostile }
	b := startRuntime(t, evil)
	alice, bob := a.register("alice"), b.register("bob")
	bob.Handle(answer)
	if _, err := alice.Request(t.Context(), bob.URL(), message.Read, nil); err != nil {
		t.Fatal(err)
	}
	live := false
	a.until("the status says why the connection has ended", waitTime, func() bool {
		s, err := a.Status(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range s.Connections {
			live = live || c.State == message.Live
			if c.Remote == b.URL() && strings.Contains(c.Why, "the peer broke the protocol: it opens ") {
				return true
			}
		}
		return false
	})
	if !live {
		t.Error("there was no connection")
	}
	if r, err := alice.Request(t.Context(), bob.URL(), message.Read, nil); err != nil || string(r.Value) != `"here"` {
		t.Errorf("afterwards: %s, %v", r.Value, err)
	}
}
