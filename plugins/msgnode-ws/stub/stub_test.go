package stub

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "protofly-stub-test")
	if err != nil {
		panic(err)
	}
	longtest.Parallel(32)
	nodeBinary = filepath.Join(folder, "protofly-node")
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(folder)
		os.Exit(code)
	}))
}

const (
	domain   = "example.com"
	patience = 40 * time.Second
)

// core stands for a runtime's core: it signs, gets the status events and what the node sends, and has the door.
type core struct {
	t       testing.TB
	runtime message.URL
	url     message.URL // of the stub
	key     ed25519.PrivateKey
	bus     *minibus.MiniBus
	door    *door

	status   chan string // "value: desc"
	messages chan message.Message
	run      chan error
	stop     context.CancelFunc
}

// door is the data side of the stub, in memory.
type door struct {
	out chan []sdk.Frame // to the stub
	in  chan sdk.Frame   // from it
}

func (d *door) Open(message.URL) (sdk.Door, error) { return d, nil }
func (d *door) Close() error                       { return nil }

func (d *door) Recv(ctx context.Context) ([]sdk.Frame, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case frames, ok := <-d.out:
		if !ok {
			return nil, io.EOF
		}
		return frames, nil
	}
}

func (d *door) Send(ctx context.Context, frames ...sdk.Frame) error {
	for _, f := range frames {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case d.in <- sdk.Frame{Peer: f.Peer, Payload: bytes.Clone(f.Payload)}:
		}
	}
	return nil
}

// begin runs a stub for the n-th runtime.
func begin(t testing.TB, n byte, config string) *core {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
	runtime := message.URL("hyperty-runtime://" + domain + "/" + proof.RuntimeID(key.Public().(ed25519.PublicKey)))
	c := &core{t: t, runtime: runtime, url: runtime.Join("protostub", domain), key: key,
		door:   &door{out: make(chan []sdk.Frame, 100), in: make(chan sdk.Frame, 1000)},
		status: make(chan string, 100), messages: make(chan message.Message, 100), run: make(chan error, 1)}
	c.bus = minibus.New(minibus.Options{Out: c.fromStub})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		c.run <- Stub{}.Run(ctx, c.bus, sdk.Start{URL: c.url, Runtime: runtime, Role: sdk.RoleNode, Domain: domain,
			Config: json.RawMessage(config), Doors: c.door, Log: hclog.NewNullLogger()})
		close(c.run)
	}()
	var once sync.Once
	c.stop = func() {
		once.Do(func() {
			cancel()
			<-c.run
			c.bus.Close()
		})
	}
	t.Cleanup(c.stop)
	return c
}

// fromStub is the core's side of the stub's bus.
func (c *core) fromStub(ctx context.Context, m message.Message) error {
	switch m.To {
	case c.url.Join("status"):
		var b struct{ Value, Desc string }
		if err := m.Decode(&b); err != nil {
			return err
		}
		c.status <- strings.TrimSuffix(b.Value+": "+b.Desc, ": ")
	case c.runtime.Join("identity"):
		go c.bus.Deliver(ctx, c.sign(m))
	default:
		c.messages <- m
	}
	return nil
}

func (c *core) sign(m message.Message) message.Message {
	var b struct {
		Method string
		Params []string
	}
	if err := m.Decode(&b); err != nil || b.Method != "sign" || len(b.Params) != 3 || b.Params[0] != "message-node" || b.Params[1] != domain {
		return m.Refuse(400, "%s", m.Body)
	}
	challenge, err := base64.StdEncoding.DecodeString(b.Params[2])
	if err != nil {
		return m.Refuse(400, "%v", err)
	}
	return m.Respond(200, map[string][]byte{"key": c.key.Public().(ed25519.PublicKey),
		"signature": ed25519.Sign(c.key, proof.MessageNode(domain, c.runtime, challenge))})
}

// want waits for status events: each must start with one of the given words, in this order.
func (c *core) want(events ...string) {
	c.t.Helper()
	for _, want := range events {
		select {
		case got := <-c.status:
			if !strings.HasPrefix(got, want) {
				c.t.Fatalf("status %q, want %q", got, want)
			}
		case <-time.After(patience):
			c.t.Fatalf("no status %q", want)
		}
	}
}

func (c *core) message() message.Message {
	c.t.Helper()
	select {
	case m := <-c.messages:
		return m
	case <-time.After(patience):
		c.t.Fatal("no message")
		return message.Message{}
	}
}

func (c *core) frame() sdk.Frame {
	c.t.Helper()
	select {
	case f := <-c.door.in:
		return f
	case <-time.After(patience):
		c.t.Fatal("no frame")
		return sdk.Frame{}
	}
}

// ask sends the node a request of a component of the runtime.
func (c *core) ask(kind message.Type, to message.URL, body string) (int, string) {
	c.t.Helper()
	c.bus.Deliver(c.t.Context(), message.Message{ID: message.NumberID(77), Type: kind, From: c.runtime.Join("registry"), To: to, Body: json.RawMessage(body)})
	m := c.message()
	r, err := m.Result()
	if err != nil || m.ID != message.NumberID(77) || m.From != to {
		c.t.Fatalf("got %+v, %v", m, err)
	}
	return r.Code, r.Description + string(r.Value)
}

func TestStubCarriesBothWays(t *testing.T) {
	n := startNode(t, t.TempDir(), "127.0.0.1:0")
	config := fmt.Sprintf(`{"url":%q}`, n.url)
	alice, bob := begin(t, 1, config), begin(t, 2, config)
	alice.want("created", "in-progress", "live")
	bob.want("created", "in-progress", "live")
	if code, text := alice.ask(message.Create, message.AllocationAddress(domain), `{"value":{"identifier":"alice"}}`); code != 200 || !strings.Contains(text, "hyperty://example.com/alice") {
		t.Fatal(code, text)
	}
	// A message, and its via.
	sent := message.Message{ID: message.NumberID(1), Type: message.Create, From: alice.runtime.Join("sm"), To: bob.runtime.Join("sm")}
	alice.bus.Deliver(t.Context(), sent)
	if m := bob.message(); m.From != sent.From || len(m.Via) != 1 || m.Via[0] != bob.url {
		t.Fatalf("got %+v", m)
	}
	// A message that has crossed the stub does not cross it again; the next one does.
	alice.bus.Deliver(t.Context(), sent.Through(alice.url))
	sent.ID = message.NumberID(2)
	alice.bus.Deliver(t.Context(), sent)
	if m := bob.message(); m.ID != sent.ID {
		t.Fatalf("got %+v", m)
	}
	// Frames in order, both ways; many to a runtime that has answered.
	hello := func(from, to *core) {
		for range 20 {
			from.door.out <- []sdk.Frame{{Peer: to.runtime, Payload: []byte("hello")}}
			if f := to.frame(); f.Peer != from.runtime {
				t.Fatalf("got %+v", f)
			}
		}
	}
	for range 2 {
		hello(alice, bob)
		hello(bob, alice)
	}
	const count = 2000
	for i := 0; i < count; i += 20 {
		var frames []sdk.Frame
		for j := range 20 {
			frames = append(frames, sdk.Frame{Peer: bob.runtime, Payload: fmt.Appendf(nil, "%d", i+j)})
		}
		alice.door.out <- frames
	}
	for i := range count {
		if f := bob.frame(); f.Peer != alice.runtime || string(f.Payload) != fmt.Sprint(i) {
			t.Fatalf("got %s %s, want %d", f.Peer, f.Payload, i)
		}
	}
	big := bytes.Repeat([]byte("x"), sdk.MaxFrame)
	bob.door.out <- []sdk.Frame{{Peer: alice.runtime, Payload: []byte("small")}, {Peer: alice.runtime, Payload: big}, {Peer: alice.runtime, Payload: nil}}
	for _, size := range []int{5, len(big), 0} {
		if f := alice.frame(); len(f.Payload) != size {
			t.Fatalf("got a frame of %d bytes, want %d", len(f.Payload), size)
		}
	}
	// Frames for a runtime that is not connected.
	alice.door.out <- []sdk.Frame{{Peer: "hyperty-runtime://example.com/nobody", Payload: big[:1]}}
	if m := alice.message(); m.To != alice.url.Join("unreachable") || !strings.Contains(string(m.Body), "nobody") {
		t.Fatalf("got %+v", m)
	}
	// Messages to the stub itself do not go to the node.
	if code, _ := alice.ask(message.Execute, alice.url, `{"method":"connect"}`); code != 400 {
		t.Error(code)
	}
	if code, _ := alice.ask(message.Read, alice.url.Join("x"), `{}`); code != 404 {
		t.Error(code)
	}
	// Frames for a runtime that has gone: those that the node takes before it knows that are lost without notice.
	alice.stop()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for gone := time.After(patience); ; {
		bob.door.out <- []sdk.Frame{{Peer: alice.runtime, Payload: big[:1]}}
		select {
		case m := <-bob.messages:
			if m.To != bob.url.Join("unreachable") {
				t.Fatalf("got %+v", m)
			}
			return
		case <-again.C:
		case <-gone:
			t.Fatal("nobody says that the runtime is not reachable")
		}
	}
}

func TestReconnect(t *testing.T) {
	data := t.TempDir()
	n := startNode(t, data, "127.0.0.1:0")
	alice := begin(t, 1, fmt.Sprintf(`{"url":%q}`, n.url))
	alice.want("created", "in-progress", "live")
	n.kill()
	alice.want("disconnected")
	startNode(t, data, n.addr)
	alice.want("live")
	if code, text := alice.ask(message.Create, message.AllocationAddress(domain), `{}`); code != 200 {
		t.Fatal(code, text)
	}
}

func TestNodeThatCannotBeReached(t *testing.T) {
	t.Parallel()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "ws://" + free.Addr().String() + wire.Path
	free.Close()
	alice := begin(t, 1, fmt.Sprintf(`{"url":%q}`, url))
	alice.want("created", "in-progress", "failed: connect to "+url)
	began := time.Now()
	code, text := alice.ask(message.Create, message.AllocationAddress(domain), `{}`)
	if took := time.Since(began); code != 504 || !strings.Contains(text, url) || took > giveUp+patience/2 {
		t.Errorf("%d %s after %v", code, text, took)
	}
}

// A node that accepts a connection and never answers, and one of another domain.
func TestNodeThatIsNone(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	alice := begin(t, 1, fmt.Sprintf(`{"url":"ws://%s/protofly"}`, silent.Addr()))
	n := startNode(t, t.TempDir(), "127.0.0.1:0", "--domain", "other.org")
	bob := begin(t, 2, fmt.Sprintf(`{"url":%q}`, n.url))
	bob.want("created", "in-progress", "failed: handshake with "+n.url+": the node serves \"other.org\"")
	alice.want("created", "in-progress", "failed: connect to ws://"+silent.Addr().String())
}

func TestConfig(t *testing.T) {
	for _, text := range []string{``, `{}`, `{"url":"http://x"}`, `{"url":"ws://"}`, `{"url":"ws://x","more":1}`, `[]`, `{"url":5}`} {
		if c, err := ParseConfig(json.RawMessage(text)); err == nil {
			t.Errorf("%s was accepted: %+v", text, c)
		}
	}
	alice := begin(t, 1, `{"url":"wss://127.0.0.1:1/protofly","ca":"/nowhere"}`)
	if err := <-alice.run; err == nil || errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"url":"ws://127.0.0.1:1/protofly","ca":"x"}`))
	f.Fuzz(func(_ *testing.T, text []byte) { _, _ = ParseConfig(text) })
}

// Of two stubs of one runtime the older one gives way, and comes back when the newer one has ended.
func TestStubYieldsToANewerOne(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), "127.0.0.1:0")
	config := fmt.Sprintf(`{"url":%q}`, n.url)
	old := begin(t, 1, config)
	old.want("created", "in-progress", "live")
	young := begin(t, 1, config)
	young.want("created", "in-progress", "live")
	began := time.Now()
	old.want("disconnected")
	for n := uint64(100); time.Since(began) < yielding/2; n++ { // the older one has had enough time to try again, and has traffic
		old.bus.Deliver(t.Context(), message.Message{ID: message.NumberID(n), Type: message.Read, From: old.runtime.Join("registry"), To: message.AllocationAddress(domain)})
		time.Sleep(100 * time.Millisecond) // the stub gets no event here that the test could wait for
		if code, _ := young.ask(message.Create, message.AllocationAddress(domain), `{"value":{"number":1}}`); code != 200 {
			t.Fatalf("the newer one was answered %d", code)
		}
	}
	select {
	case s := <-young.status:
		t.Errorf("the newer one: %s", s)
	default:
	}
	young.stop()
	old.want("live")
}
