package core_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/gobuild"
	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// hostileWebRTC is a folder with the plug-ins; the one for WebRTC breaks the protocol a second after it has connected.
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

// If the peer broke the protocol, the status says so as the reason why a connection has ended; the messages go on over the
// relay.
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

// breached makes three runtimes: b has broken the protocol towards a over a direct connection, and a refuses b since; c has a
// direct connection with a that went on. ask has b send a request, over whatever path there is.
func breached(t *testing.T) (a, b *running, ask func()) {
	t.Helper()
	hostile := hostileWebRTC(t)
	node := startNode(t, "example.com")
	o := func(name string) runtimeOptions {
		return runtimeOptions{name: name, nodes: []*nodeProcess{node}, use: []string{"webrtc"}}
	}
	asked, evil := o("a"), o("b")
	asked.policy = "never" // it answers requests for connections, and makes none
	evil.change = func(c *core.Config) { c.PluginDir = hostile }
	a, b = startRuntime(t, asked), startRuntime(t, evil)
	c := startRuntime(t, o("c"))
	alice, bob, carol := a.register("alice"), b.register("bob"), c.register("carol")
	alice.Handle(answer)
	asks := func(h *hyperty.Hyperty) {
		t.Helper()
		if r, err := h.Request(t.Context(), alice.URL(), message.Read, nil); err != nil || string(r.Value) != `"here"` {
			t.Fatalf("%s, %v", r.Value, err)
		}
	}
	asks(carol)
	c.live(a)
	before := c.connections(a)
	asks(bob)
	b.live(a)
	a.until("the connection has ended", waitTime, func() bool { return because(a, b, "the peer broke the protocol: it opens ") })
	b.until("it is refused", waitTime, func() bool {
		return because(b, a, " answered 429: ") && because(b, a, " broke the protocol of an earlier connection: no other one is made in the next ")
	})
	asks(bob) // over the relay
	asks(carol)
	if now := c.connections(a); len(before) != 1 || len(now) != 1 || now[0].State != message.Live || now[0].Since != before[0].Since || now[0].Attempts != before[0].Attempts {
		t.Errorf("the other runtime's connection was %+v, and is %+v", before, now)
	}
	return a, b, func() { asks(bob) }
}

// because tells whether a connection has ended or failed for that reason.
func because(r, other *running, why string) bool {
	return slices.ContainsFunc(r.connections(other), func(c api.Connection) bool {
		return c.State != message.Live && strings.Contains(c.Why, why)
	})
}

// A paired runtime that breaks the protocol is refused, and the direct connection with another one goes on.
func TestWhoBreaksTheProtocolIsRefused(t *testing.T) {
	t.Parallel()
	breached(t)
}

// A runtime that was refused for that may try again when the penalty is over.
func TestLongWhoBrokeTheProtocolMayTryAgain(t *testing.T) {
	longtest.Skip(t)
	t.Parallel()
	a, b, ask := breached(t)
	var ends []time.Time
	last := time.Now()
	b.until("it is live again", waitTime, func() bool {
		if time.Since(last) > 200*time.Millisecond { // a message can start an attempt
			ask()
			last = time.Now()
		}
		ends = nil
		b.count(func(e trace.Event) bool {
			if e.Kind == trace.Connection && e.Peer == a.URL() && e.Value == message.Live.String() {
				ends = append(ends, e.At)
			}
			return false
		})
		return len(ends) > 1
	})
	const penalty, behaves = 5 * time.Second, time.Second // see sdk/p2p and plugins/webrtc/hostile-webrtc
	if apart := ends[1].Sub(ends[0]); apart < penalty+behaves/2 {
		t.Errorf("it was live again after %v", apart)
	}
}
