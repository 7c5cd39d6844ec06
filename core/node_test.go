package core_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// ask sends a request and returns the code and the value, or the description, of its answer.
func ask(t testing.TB, h *hyperty.Hyperty, kind message.Type, to message.URL, body string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitTime)
	defer cancel()
	r, err := h.Request(ctx, to, kind, json.RawMessage(body))
	if refused := (*message.ResponseError)(nil); err != nil && !errors.As(err, &refused) {
		t.Fatalf("%s %s %s: %v", kind, to, body, err)
	}
	if r.Value == nil {
		return r.Code, r.Description
	}
	return r.Code, string(r.Value)
}

// Applications look each other up at the Domain Registry, their own domain's and a foreign one's: by address, by
// user, by scheme.
func TestApplicationsLookUp(t *testing.T) {
	t.Parallel()
	here, there := startNode(t, "a.example"), startNode(t, "b.example")
	a := startRuntime(t, runtimeOptions{name: "a", domain: "a.example", nodes: []*nodeProcess{here, there}})
	b := startRuntime(t, runtimeOptions{name: "b", domain: "b.example", nodes: []*nodeProcess{here, there}})
	alice := a.register("alice")
	bob, err := b.Register(t.Context(), hyperty.Registration{Name: "bob", User: "user://b.example/bob", Resources: []string{"chat"}, DataSchemes: []string{"comm"}})
	if err != nil {
		t.Fatal(err)
	}
	registry := func(domain string) message.URL { return message.DomainRegistryAddress(domain) }
	for _, c := range []struct {
		who  *hyperty.Hyperty
		at   string
		body string
		code int
		want string
	}{
		{bob, "b.example", `{"resource":"hyperty://b.example/bob"}`, 200, `"hypertyID":"hyperty://b.example/bob"`},
		{alice, "b.example", `{"resource":"hyperty://b.example/bob"}`, 200, string(b.URL())},
		{alice, "b.example", `{"resource":"user://b.example/bob"}`, 200, string(b.URL())},
		{alice, "b.example", `{"resource":"/hyperty/user/user://b.example/bob"}`, 200, string(b.URL())},
		{alice, "b.example", `{"resource":"/hyperty/idp-identifier/bob@b.example"}`, 200, string(b.URL())},
		{alice, "b.example", `{"resource":"user://b.example/bob","criteria":{"resources":["chat"],"dataSchemes":["comm"]}}`, 200, string(b.URL())},
		{alice, "b.example", `{"resource":"user://b.example/bob","criteria":{"resources":["video"]}}`, 404, ""},
		{alice, "b.example", `{"criteria":{"scheme":"hyperty"}}`, 200, string(b.URL())},
		{alice, "b.example", `{"criteria":{"scheme":"comm"}}`, 404, ""},
		{alice, "b.example", `{"resource":"user://b.example/carol"}`, 404, ""},
		{alice, "a.example", `{"resource":"hyperty://b.example/bob"}`, 404, ""},
		{alice, "nowhere.example", `{"resource":"hyperty://nowhere.example/bob"}`, 504, ""},
		{alice, "b.example", `{}`, 400, ""},
	} {
		if code, value := ask(t, c.who, message.Read, registry(c.at), c.body); code != c.code || !strings.Contains(value, c.want) {
			t.Errorf("%s at %s: %s: %d %s", c.who.URL(), c.at, c.body, code, value)
		}
	}
	// They cannot change entries of others, at either node.
	for _, domain := range []string{"a.example", "b.example"} {
		code, why := ask(t, alice, message.Update, registry(domain), `{"resource":"hyperty://b.example/bob","value":{"status":"disconnected"}}`)
		if code != 403 && code != 404 {
			t.Errorf("alice unregistered bob at %s: %d %s", domain, code, why)
		}
	}
}

// The Message Node of a domain that no configuration names is found by the descriptor that the node itself serves, and
// its stub is deployed when the first message needs it.
func TestForeignDomainByItsDescriptor(t *testing.T) {
	t.Parallel()
	build(t)
	start := func() *nodeProcess {
		n := &nodeProcess{t: t, dir: shortDir(t), listen: freeAddress(t)}
		n.domain = n.listen // plain HTTP is allowed only to this machine's own addresses
		n.start()
		t.Cleanup(n.stop)
		return n
	}
	here, there := start(), start()
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{here}, change: onLoopback})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{there}, change: onLoopback})
	alice, bob := a.register("alice"), b.register("bob")
	bob.Handle(func(ctx context.Context, m hyperty.Received) { _ = m.Answer(ctx, "here") })
	if code, why := ask(t, alice, message.Read, bob.URL(), `{}`); code != 200 {
		t.Errorf("alice asks bob: %d %s", code, why)
	}
	s, err := a.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stubs := map[string]message.Status{}
	for _, stub := range s.Stubs {
		stubs[stub.Domain] = stub.State
	}
	if len(stubs) != 2 || stubs[there.domain] != message.Live {
		t.Errorf("stubs of Message Nodes: %v", stubs)
	}
}

// Soon after a runtime was killed the Domain Registry marks its entries as disconnected, and tells subscribers of their
// status. When the runtime is back it registers again, under its names.
func TestKilledRuntimeIsDisconnected(t *testing.T) {
	t.Parallel()
	killedRuntimeIsDisconnected(t, time.Second)
}

// The same with the default time until a message is given up: half a minute.
func TestLongKilledRuntimeIsDisconnected(t *testing.T) {
	longtest.Skip(t)
	t.Parallel()
	killedRuntimeIsDisconnected(t, 0)
}

func killedRuntimeIsDisconnected(t *testing.T, unacked time.Duration) {
	n := startNode(t, "a.example", "PROTOFLY_NODE_TIMES__GRACE=500ms", "PROTOFLY_NODE_TIMES__SWEEP=100ms")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{n}, change: func(c *core.Config) { core.SetUnacked(c, unacked) }})
	alice := a.register("alice")
	registry, bob := message.DomainRegistryAddress("a.example"), message.URL("hyperty://a.example/bob")
	notices := follow(t, alice, bob)
	status := func() int {
		code, _ := ask(t, alice, message.Read, registry, `{"resource":"hyperty://a.example/bob"}`)
		return code
	}
	dir := shortDir(t)
	r := startListener(t, n, dir, "bob")
	if told := next(t, notices); !strings.Contains(told, "live") {
		t.Errorf("registered for the first time: told %s", told)
	}
	if code := status(); code != 200 {
		t.Fatalf("registered: %d", code)
	}
	if err := alice.Send(t.Context(), bob, nil); err != nil { // from here on alice's runtime knows where bob is
		t.Fatal(err)
	}
	r.kill()
	if told := next(t, notices); !strings.Contains(told, "disconnected") {
		t.Errorf("told %s", told)
	}
	if code := status(); code != 408 {
		t.Errorf("killed: %d", code)
	}
	mustReportLost(t, alice, bob)
	r = startListener(t, n, dir, "bob")
	if told := next(t, notices); !strings.Contains(told, "live") {
		t.Errorf("told %s", told)
	}
	if code := status(); code != 200 {
		t.Errorf("back: %d", code)
	}
	r.kill()
}

// mustReportLost checks that alice is told of a message that was on its way to bob when bob's runtime was killed.
func mustReportLost(t *testing.T, alice *hyperty.Hyperty, bob message.URL) {
	t.Helper()
	lost := make(chan message.Message, 1)
	alice.HandleResponses(func(_ context.Context, m message.Message) {
		if m.ID == message.NumberID(4711) { // the one before may have been too late as well
			lost <- m
		}
	})
	if err := alice.Post(t.Context(), message.Message{ID: message.NumberID(4711), Type: message.Update, To: bob, Body: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	select {
	case m := <-lost:
		if r, err := m.Result(); err != nil || m.From != bob || r.Code != 408 && r.Code != 504 {
			t.Errorf("alice was told %+v %v", m, err)
		}
	case <-time.After(3 * waitTime):
		t.Error("alice was not told that her message is lost")
	}
}

// A node that has lost all its state gets it back from the runtimes: names, entries, and subscriptions to registrations.
func TestNodeThatLostItsState(t *testing.T) {
	t.Parallel()
	n := startNode(t, "a.example")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{n}})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{n}})
	bob, alice := a.register("bob"), b.register("alice")
	notices := follow(t, alice, bob.URL())
	n.kill()
	lost := func(e trace.Event) bool {
		return e.Kind == trace.Status && e.Value == message.Disconnected.String()
	}
	a.await("the loss of the node", lost)
	b.await("the loss of the node", lost)
	n.dir = shortDir(t)
	n.start()
	deadline := time.Now().Add(waitTime)
	for {
		code, why := ask(t, alice, message.Read, message.DomainRegistryAddress("a.example"), `{"resource":"hyperty://a.example/bob"}`)
		if code == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("never registered again: %d %s", code, why)
		}
		time.Sleep(20 * time.Millisecond) // the node has no event for it: it is asked again
	}
	if err := bob.Close(t.Context()); err != nil {
		t.Error(err)
	}
	// The node that knew nothing reports the registration as a first one, and then its end.
	for _, status := range []string{"live", "disconnected"} {
		if told := next(t, notices); !strings.Contains(told, status) {
			t.Errorf("told %s, want %s", told, status)
		}
	}
	if _, err := b.Register(t.Context(), hyperty.Registration{Name: "bob"}); err == nil {
		t.Error("the name was free for another runtime")
	}
}

// Two hyperties of one runtime follow a registration, each for itself.
func TestTwoFollowOneRegistration(t *testing.T) {
	t.Parallel()
	n := startNode(t, "a.example")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{n}})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{n}})
	bob := a.register("bob")
	alice, carol := b.register("alice"), b.register("carol")
	first, second := follow(t, alice, bob.URL()), follow(t, carol, bob.URL())
	if code, why := ask(t, alice, message.Unsubscribe, message.SubscriptionAddress("a.example"), `{"unsubscribe":["hyperty://a.example/bob/registration"]}`); code != 200 {
		t.Fatal(code, why)
	}
	if err := bob.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if told := next(t, second); !strings.Contains(told, "disconnected") {
		t.Errorf("carol was told %s", told)
	}
	if len(first) > 0 {
		t.Errorf("alice, who follows no more, was told %s", <-first)
	}
	// An address that is not the registration of an address is not listened to, whatever the node says.
	for _, at := range []string{string(b.URL()) + "/sm", string(b.URL()) + "/registration", string(carol.URL())} {
		ask(t, alice, message.Subscribe, message.SubscriptionAddress("a.example"), `{"subscribe":["`+at+`"]}`)
	}
	stop := alice.Bus().Listen(carol.URL(), func(context.Context, message.Message) { t.Error("alice hears what is for carol") })
	defer stop()
	if err := carol.Send(t.Context(), carol.URL(), map[string]int{"n": 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := carol.Receive(t.Context()); err != nil {
		t.Error(err)
	}
}

// follow has a hyperty follow the registration of an address.
func follow(t testing.TB, h *hyperty.Hyperty, u message.URL) <-chan string {
	t.Helper()
	notices := make(chan string, 16)
	t.Cleanup(h.Bus().Listen(u.Join("registration"), func(_ context.Context, m message.Message) { notices <- string(m.Body) }))
	code, why := ask(t, h, message.Subscribe, message.SubscriptionAddress(u.NodeDomain()), `{"subscribe":["`+string(u)+`/registration"]}`)
	if code != 200 {
		t.Fatal(code, why)
	}
	return notices
}

func next(t testing.TB, notices <-chan string) string {
	t.Helper()
	select {
	case told := <-notices:
		return told
	case <-time.After(waitTime):
		t.Fatal("not told")
		return ""
	}
}

// listener is a runtime in a process of its own with one hyperty, which the command line has registered.
type listener struct {
	t       testing.TB
	runtime *exec.Cmd
	client  *hyperty.Client
}

func startListener(t testing.TB, n *nodeProcess, dir, name string) *listener {
	t.Helper()
	socket := filepath.Join(dir, "s")
	l := &listener{t: t}
	l.runtime = exec.Command(built.runtime, "run", "--domain", n.domain, "--node", n.url, "--data", filepath.Join(dir, "data"),
		"--plugins", built.plugins, "--socket", socket, "--log-level", "warn")
	l.runtime.Env = append(os.Environ(), "HOME="+dir, "TMPDIR="+temporary(t)) // it is killed
	l.runtime.Stderr = logWriter{t, name}
	if err := l.runtime.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.kill)
	client, err := dialWhenThere(t, socket)
	if err != nil {
		t.Fatal(err)
	}
	l.client = client
	ctx, cancel := context.WithTimeout(context.Background(), waitTime)
	defer cancel()
	if _, err := client.Register(ctx, hyperty.Registration{Name: name}); err != nil {
		t.Fatal(err)
	}
	return l
}

func dialWhenThere(t testing.TB, socket string) (*hyperty.Client, error) {
	t.Helper()
	deadline := time.Now().Add(waitTime)
	for {
		client, err := hyperty.Dial(context.Background(), hyperty.Options{Socket: socket, Wait: 100 * time.Millisecond})
		if err == nil || time.Now().After(deadline) {
			return client, err
		}
		time.Sleep(20 * time.Millisecond) // another process starts
	}
}

// kill ends the runtime at once, and then the application, which would register its hyperty with the next runtime.
func (l *listener) kill() {
	if l.runtime.ProcessState == nil {
		_ = l.runtime.Process.Kill()
		_ = l.runtime.Wait()
	}
	if l.client != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		_ = l.client.Close(ctx) // its runtime has gone
		l.client = nil
	}
}

// One node answers nonsense, and another is no Message Node: registering fails with an error that says what is wrong, in a
// bounded time.
func TestNodesThatAreNone(t *testing.T) {
	t.Parallel()
	build(t)
	for name, answer := range map[string]string{
		"nonsense": "SSH-2.0-OpenSSH\r\n", "web server": "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					defer c.Close()
					_, _ = io.WriteString(c, answer)
				}
			}()
			defer func() { l.Close(); <-done }()
			r := startRuntime(t, runtimeOptions{name: "a", domain: "a.example", change: func(c *core.Config) {
				c.Nodes["a.example"] = "ws://" + l.Addr().String() + "/protofly"
			}})
			began := time.Now()
			_, err = r.Register(t.Context(), hyperty.Registration{Name: "bob"})
			if err == nil || !strings.Contains(err.Error(), l.Addr().String()) || time.Since(began) > waitTime {
				t.Errorf("after %v: %v", time.Since(began), err)
			}
		})
	}
}
