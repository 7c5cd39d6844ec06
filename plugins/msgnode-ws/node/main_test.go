package node

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/hashicorp/go-hclog"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

func TestMain(m *testing.M) {
	longtest.Parallel(32)
	goleak.VerifyTestMain(m,
		// The embedded server keeps one goroutine a process that looks at the process's own use.
		goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server.init.0.func1"))
}

var testSecret = bytes.Repeat([]byte("s"), backbone.MinSecret)

const (
	domain    = "example.com"
	allocator = message.URL("domain://msg-node.example.com/address-allocation")
	manager   = message.URL("domain://msg-node.example.com/sm")
	lookups   = message.URL("domain://registry.example.com")
	patience  = 30 * time.Second
)

// running is a node that serves until the test ends, or until stop.
type running struct {
	*Node
	url  string
	stop func()
}

func start(t testing.TB, o Options) *running {
	t.Helper()
	if o.Domain == "" {
		o.Domain = domain
	}
	if o.Data == "" {
		o.Data = t.TempDir()
	}
	n, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Serve(ctx) }()
	r := &running{Node: n, url: "ws://" + n.Addr().String()}
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error("serve:", err)
		}
	}
	t.Cleanup(r.stop)
	return r
}

// bucket is the bucket of a table of the state, for what another node would write there.
func (r *running) bucket(t testing.TB, name string) jetstream.KeyValue {
	t.Helper()
	kv, err := r.nats.Bucket(t.Context(), backbone.BucketPrefix(domain)+name, state.BucketOptions(r.opts.Replicas, 0))
	if err != nil {
		t.Fatal(err)
	}
	return kv
}

// client is a protofly.v1 client.
type client struct {
	t       testing.TB
	ws      *websocket.Conn
	runtime message.URL
	packet  []byte // frames that have been read and not used
	last    uint64
}

// identity is the n-th runtime of the tests.
func identity(n int) (message.URL, ed25519.PrivateKey) {
	seed := bytes.Repeat([]byte{byte(n), byte(n >> 8)}, ed25519.SeedSize/2)
	key := ed25519.NewKeyFromSeed(seed)
	return message.URL("hyperty-runtime://example.com/" + proof.RuntimeID(key.Public().(ed25519.PublicKey))), key
}

func dial(t testing.TB, url string, o *websocket.DialOptions) *websocket.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ws, response, err := websocket.Dial(ctx, url, o)
	if err != nil {
		status := ""
		if response != nil {
			status = response.Status
		}
		t.Fatalf("dial %s: %v %s", url, err, status)
	}
	ws.SetReadLimit(8 << 20)
	t.Cleanup(func() { ws.CloseNow() })
	return ws
}

// join connects the n-th runtime.
func (r *running) join(t testing.TB, n int) *client {
	t.Helper()
	return r.greet(t, dial(t, r.url+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}}), n, "")
}

// greet proves the n-th runtime on a connection.
func (r *running) greet(t testing.TB, ws *websocket.Conn, n int, token string) *client {
	t.Helper()
	c, refused := r.tryGreet(t, ws, n, token)
	if refused != nil {
		t.Fatalf("no welcome but %v", refused)
	}
	return c
}

// tryGreet is greet where the node may refuse.
func (r *running) tryGreet(t testing.TB, ws *websocket.Conn, n int, token string) (*client, *wire.Refused) {
	t.Helper()
	return r.tryGreetIn(t, ws, domain, n, token)
}

// tryGreetIn is tryGreet for a runtime of any domain.
func (r *running) tryGreetIn(t testing.TB, ws *websocket.Conn, of string, n int, token string) (*client, *wire.Refused) {
	t.Helper()
	c := &client{t: t, ws: ws}
	runtime, key := identity(n)
	runtime = message.URL(strings.Replace(string(runtime), domain, of, 1))
	c.runtime = runtime
	var challenge wire.Challenge
	if kind, body := c.frame(); kind != wire.KindChallenge || wire.ParseHandshake(body, &challenge) != nil {
		t.Fatalf("no challenge but %d %s", kind, body)
	}
	c.write(wire.AppendGrease(wire.AppendHandshake(nil, wire.KindProof, wire.Proof{Runtime: runtime, Key: key.Public().(ed25519.PublicKey), Token: token,
		Signature: ed25519.Sign(key, proof.MessageNode(domain, runtime, challenge.Challenge))})))
	kind, body := c.frame()
	if kind == wire.KindRefused {
		refused := &wire.Refused{}
		if err := wire.ParseHandshake(body, refused); err != nil {
			t.Fatal(err)
		}
		return nil, refused
	}
	if kind != wire.KindWelcome {
		t.Fatalf("no welcome but %d %s", kind, body)
	}
	return c, nil
}

func (c *client) write(packet []byte) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.ws.Write(ctx, websocket.MessageBinary, packet); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// next reads the next frame of a known kind.
func (c *client) next() (wire.Kind, []byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		for len(c.packet) > 0 {
			kind, body, rest, err := wire.Next(c.packet)
			if err != nil {
				return 0, nil, err
			}
			c.packet = rest
			if kind <= wire.KindUnreachable {
				return kind, body, nil
			}
		}
		_, packet, err := c.ws.Read(ctx)
		if err != nil {
			return 0, nil, err
		}
		c.packet = packet
	}
}

func (c *client) frame() (wire.Kind, []byte) {
	c.t.Helper()
	kind, body, err := c.next()
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	return kind, body
}

// message reads the next frame, which must be a message.
func (c *client) message() message.Message {
	c.t.Helper()
	kind, body := c.frame()
	if kind != wire.KindMessage {
		c.t.Fatalf("got frame %d %s, want a message", kind, body)
	}
	m, err := wire.ParseMessage(body)
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}

func (c *client) send(m message.Message) { c.t.Helper(); c.write(wire.AppendMessage(nil, &m)) }

// ask sends a request from a component of the runtime and returns the code and the value of its answer, the next
// message to come.
func (c *client) ask(kind message.Type, to message.URL, body string) (int, string) {
	c.t.Helper()
	return c.askFrom(c.runtime.Join("registry"), kind, to, body)
}

func (c *client) askFrom(from message.URL, kind message.Type, to message.URL, body string) (int, string) {
	c.t.Helper()
	c.last++
	c.send(message.Message{ID: message.NumberID(c.last), Type: kind, From: from, To: to, Body: json.RawMessage(body)})
	m := c.message()
	if m.Type != message.Response || m.ID != message.NumberID(c.last) || m.To != from || m.From != to {
		c.t.Fatalf("got %s %s %s → %s %s, want the answer to request %d", m.Type, m.ID, m.From, m.To, m.Body, c.last)
	}
	r, err := m.Result()
	if err != nil {
		c.t.Fatal(err)
	}
	if r.Value == nil {
		return r.Code, r.Description
	}
	return r.Code, string(r.Value)
}

// must is ask where the answer has to be 200.
func (c *client) must(kind message.Type, to message.URL, body string) string {
	c.t.Helper()
	code, value := c.ask(kind, to, body)
	if code != 200 {
		c.t.Fatalf("%s %s %s: %d %s", kind, to, body, code, value)
	}
	return value
}

// allocate gets addresses.
func (c *client) allocate(body string) []message.URL {
	c.t.Helper()
	var v struct{ Allocated []message.URL }
	if err := json.Unmarshal([]byte(c.must(message.Create, allocator, body)), &v); err != nil {
		c.t.Fatal(err)
	}
	return v.Allocated
}

// sync makes sure that the node has handled everything that c sent.
func (c *client) sync() {
	c.t.Helper()
	if code, _ := c.ask(message.Read, "domain://registry.example.com", `{"resource":"hyperty://example.com/none"}`); code != 404 {
		c.t.Fatal("sync")
	}
}

// closed waits for the node to close the connection and returns the close's code and reason.
func (c *client) closed() (websocket.StatusCode, string) {
	c.t.Helper()
	for {
		if _, _, err := c.next(); err != nil {
			return closing(err)
		}
	}
}

func closing(err error) (websocket.StatusCode, string) {
	var e websocket.CloseError
	if ok := asClose(err, &e); ok {
		return e.Code, e.Reason
	}
	return -1, err.Error()
}

// js is a client of the reference dialects.
type js struct {
	t  testing.TB
	ws *websocket.Conn
}

// plain connects as the plain WebSocket stub does. Nothing tells that stub when the node knows it; an answer does.
func (r *running) plain(t testing.TB, runtime string) *js {
	j := &js{t, dial(t, r.url+"/stub/connect?runtimeURL="+url.QueryEscape(runtime), nil)}
	j.ask(400, "[]")
	return j
}

func (r *running) session(t testing.TB) *js { return &js{t, dial(t, r.url+"/ws", nil)} }

func (j *js) send(text string) {
	j.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := j.ws.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		j.t.Fatalf("write: %v", err)
	}
}

// reply is a JSON message as a reference stub sees it.
type reply struct {
	ID       json.RawMessage
	Type     string
	From, To string
	Body     struct {
		Code         int
		RuntimeToken string
		Value        json.RawMessage
		Desc         string
		Via          json.RawMessage
		Source       string
		Attribute    string
	}
}

func (j *js) read() (reply, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var m reply
	_, text, err := j.ws.Read(ctx)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("%w: %s", err, text)
	}
	return m, nil
}

func (j *js) message() reply {
	j.t.Helper()
	m, err := j.read()
	if err != nil {
		j.t.Fatalf("read: %v", err)
	}
	return m
}

// ask sends and returns the next message, which must be a response with the code.
func (j *js) ask(code int, text string) reply {
	j.t.Helper()
	j.send(text)
	m := j.message()
	if m.Type != "response" || m.Body.Code != code {
		j.t.Fatalf("%s\ngot %s %s → %s %+v, want a response %d", text, m.Type, m.From, m.To, m.Body, code)
	}
	return m
}

func asClose(err error, e *websocket.CloseError) bool { return errors.As(err, e) }

// eventually waits until f is true.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-deadline:
			t.Fatal("never: " + what)
		case <-tick.C:
		}
	}
}

// logTo is a log that a test reads after the node has stopped.
func logTo(t testing.TB, b io.Writer) hclog.Logger {
	t.Helper()
	return hclog.New(&hclog.LoggerOptions{Name: "node", Level: hclog.Info, Output: b, Mutex: &sync.Mutex{}})
}
