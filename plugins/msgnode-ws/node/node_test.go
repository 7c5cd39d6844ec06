package node

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/conn"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

func TestDataIsRelayedInOrder(t *testing.T) {
	n := start(t, Options{})
	alice, bob := n.join(t, 1), n.join(t, 2)
	acquaint(alice, bob)
	const count = 3000
	go func() {
		for i := 0; i < count; i += 10 {
			var packet []byte
			for j := range 10 {
				packet = wire.AppendData(packet, bob.runtime, fmt.Appendf(nil, "%d", i+j))
			}
			alice.write(packet)
		}
	}()
	for i := 0; i < count; {
		kind, body := bob.frame()
		if kind != wire.KindData {
			t.Fatalf("got frame %d", kind)
		}
		peer, payloads, err := wire.ParseData(body)
		if err != nil || string(peer) != string(alice.runtime) {
			t.Fatalf("from %s, %v", peer, err)
		}
		for p := range payloads.All() {
			if string(p) != fmt.Sprint(i) {
				t.Fatalf("got payload %s, want %d", p, i)
			}
			i++
		}
	}
}

func TestDataForNobody(t *testing.T) {
	n := start(t, Options{Legacy: true})
	alice := n.join(t, 1)
	n.plain(t, "runtime://example.com/old") // speaks no frames
	nobody, _ := identity(99)
	for _, to := range []message.URL{nobody, "hyperty-runtime://example.com/old", nobody} {
		alice.write(wire.AppendData(nil, to, []byte("x")))
		kind, body := alice.frame()
		if kind != wire.KindUnreachable || string(body) != string(to) {
			t.Fatalf("got frame %d %s, want unreachable %s", kind, body, to)
		}
	}
	alice.write(wire.AppendData(nil, "hyperty://example.com/bob", []byte("x")))
	if kind, body := alice.frame(); kind != wire.KindRefused {
		t.Fatalf("data for what is no runtime: got frame %d %s", kind, body)
	}
	bob := n.join(t, 2)
	bob.write(wire.AppendData(nil, alice.runtime, bytes.Repeat([]byte("x"), wire.MaxPayload)))
	if kind, body := alice.frame(); kind != wire.KindData || len(body) < wire.MaxPayload {
		t.Fatalf("the largest payload: got frame %d of %d bytes", kind, len(body))
	}
}

func TestMessagesAreRouted(t *testing.T) {
	n := start(t, Options{})
	alice, bob := n.join(t, 1), n.join(t, 2)
	address := bob.allocate(`{"value":{"number":1}}`)[0]
	for _, to := range []message.URL{bob.runtime, bob.runtime.Join("sm"), address,
		message.URL(strings.TrimPrefix(string(bob.runtime), "hyperty-")).Join("registry")} {
		sent := message.Message{ID: message.NumberID(5), Type: message.Create, From: alice.runtime.Join("sm"), To: to,
			Body: json.RawMessage(`{"value":1}`), Via: []message.URL{alice.runtime.Join("protostub", "x")}}
		alice.send(sent)
		got := bob.message()
		if got.From != sent.From || got.To != to || got.ID != sent.ID || string(got.Body) != string(sent.Body) || len(got.Via) != 1 {
			t.Fatalf("to %s: got %+v", to, got)
		}
		bob.send(got.Respond(200, nil))
		if back := alice.message(); back.Type != message.Response || back.To != sent.From {
			t.Fatalf("the response: %+v", back)
		}
	}
	for _, to := range []message.URL{"hyperty://example.com/nobody", "hyperty-runtime://example.com/nobody/sm", "domain://msg-node.elsewhere.org/sm",
		"domain://msg-node.example.com/nothing"} {
		if code, text := alice.ask(message.Create, to, `{}`); code != 404 {
			t.Errorf("to %s: %d %s", to, code, text)
		}
	}
	// Neither a response nor a publication without receivers is answered.
	alice.send(message.Message{ID: message.NumberID(9), Type: message.Response, From: alice.runtime, To: "hyperty://example.com/nobody", Body: json.RawMessage(`{"code":200}`)})
	alice.send(message.Message{ID: message.NumberID(9), Type: message.Update, From: alice.runtime, To: "comm://example.com/x/changes"})
	alice.sync()
}

func TestForgedFrom(t *testing.T) {
	n := start(t, Options{})
	alice, bob := n.join(t, 1), n.join(t, 2)
	address := bob.allocate(`{"value":{"number":1}}`)[0]
	for _, from := range []message.URL{bob.runtime, bob.runtime.Join("sm"), address, "hyperty://example.com/free", "hyperty://other.org/x",
		lookups, "hyperty-runtime://example.com/p2phandler/x"} {
		if code, text := alice.askFrom(from, message.Create, bob.runtime, `{}`); code != 403 {
			t.Errorf("from %s: %d %s", from, code, text)
		}
	}
	// A message from an address of another domain may ask the node, with the rights of its connection's runtime, and reaches
	// nobody else.
	foreign := message.URL("hyperty://other.org/x")
	if code, text := alice.askFrom(foreign, message.Read, lookups, `{"resource":"hyperty://example.com/none"}`); code != 404 {
		t.Errorf("a look-up from another domain: %d %s", code, text)
	}
	if code, text := alice.askFrom(foreign, message.Create, lookups, entryOf(alice.runtime, address, "")); code != 403 {
		t.Errorf("another's address registered from another domain: %d %s", code, text)
	}
	for _, from := range []message.URL{address, "hyperty://example.com/free", bob.runtime, lookups} {
		if code, text := alice.askFrom(from, message.Read, lookups, `{"resource":"hyperty://example.com/none"}`); code != 403 {
			t.Errorf("a look-up from %s: %d %s", from, code, text)
		}
	}
	alice.send(message.Message{ID: message.NumberID(1), Type: message.Response, From: address, To: bob.runtime, Body: json.RawMessage(`{"code":200}`)})
	alice.sync() // a forged response is dropped, not answered
	own := alice.allocate(`{"scheme":"connection","value":{"number":1}}`)[0]
	alice.send(message.Message{ID: message.NumberID(1), Type: message.Create, From: own.Join("subscription"), To: bob.runtime.Join("sm")})
	if m := bob.message(); m.From != own.Join("subscription") {
		t.Errorf("bob got %+v first", m)
	}
}

func TestHandshakeRefusals(t *testing.T) {
	t.Parallel()
	n := start(t, Options{Times: Times{Handshake: time.Second}})
	connect := func() *client {
		return &client{t: t, ws: dial(t, n.url+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})}
	}
	runtime, key := identity(1)
	for name, packet := range map[string][]byte{
		"a wrong signature": wire.AppendHandshake(nil, wire.KindProof, wire.Proof{Runtime: runtime, Key: key[32:], Signature: make([]byte, 64)}),
		"no proof":          wire.AppendHandshake(nil, wire.KindProof, 1),
		"a message first":   wire.AppendMessage(nil, &message.Message{Type: message.Create, From: runtime, To: runtime}),
		"garbage":           {1, 2, 3},
	} {
		c := connect()
		if kind, _ := c.frame(); kind != wire.KindChallenge {
			t.Fatalf("got frame %d", kind)
		}
		c.write(packet)
		kind, body := c.frame()
		if kind != wire.KindRefused {
			t.Errorf("%s: got frame %d %s", name, kind, body)
		}
		if code, reason := c.closed(); code != websocket.StatusPolicyViolation {
			t.Errorf("%s: closed with %d %s", name, code, reason)
		}
	}
	silent := connect()
	if kind, _ := silent.frame(); kind != wire.KindChallenge {
		t.Fatalf("got frame %d", kind)
	}
	silent.closed() // within Times.Handshake
	for path, want := range map[string]int{wire.Path: 400, "/ws": 403, "/stub/connect?runtimeURL=runtime://example.com/x": 403, "/nothing": 404} {
		r, err := http.Get("http://" + n.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != want {
			t.Errorf("GET %s: %s, want %d", path, r.Status, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestBadPackets(t *testing.T) {
	n := start(t, Options{})
	alice := n.join(t, 1)
	alice.write(wire.Append(nil, wire.KindMessage, []byte("no message"))) // a frame that is dropped
	if kind, body := alice.frame(); kind != wire.KindRefused || !strings.Contains(string(body), "400") {
		t.Fatalf("got frame %d %s", kind, body)
	}
	alice.sync()
	alice.write([]byte{byte(wire.KindData), 0xff, 0xff, 0xff, 0xff, 0xff}) // a packet that cannot be read
	if code, reason := alice.closed(); code != websocket.StatusProtocolError {
		t.Errorf("closed with %d %s", code, reason)
	}
	bob := n.join(t, 2)
	_ = bob.ws.Write(t.Context(), websocket.MessageBinary, make([]byte, 2<<20))
	if code, reason := bob.closed(); code != websocket.StatusMessageTooBig {
		t.Errorf("2 MiB: closed with %d %s", code, reason)
	}
}

func TestNewestConnectionWins(t *testing.T) {
	n := start(t, Options{})
	old, bob := n.join(t, 1), n.join(t, 2)
	address := old.allocate(`{"value":{"identifier":"alice"}}`)[0]
	young := n.join(t, 1)
	if code, reason := old.closed(); code != conn.CodeReplaced {
		t.Fatalf("closed with %d %s", code, reason)
	}
	eventually(t, "the old connection is gone", func() bool { return n.conns.Len() == 2 })
	bob.send(message.Message{ID: message.NumberID(1), Type: message.Create, From: bob.runtime, To: address})
	if m := young.message(); m.To != address {
		t.Errorf("got %+v", m)
	}
}

// A connection that reads nothing is closed after the time that a write has. Until then Data for it is dropped, and nobody else
// waits.
func TestSlowClientIsClosedAndNobodyWaits(t *testing.T) {
	t.Parallel()
	n := start(t, Options{Limits: Limits{Queue: 2 << 20}, Times: Times{Write: 2 * time.Second}})
	alice, slow, bob := n.join(t, 1), n.join(t, 2), n.join(t, 3)
	acquaint(alice, slow)
	acquaint(alice, bob)
	payload := bytes.Repeat([]byte("x"), 256<<10)
	for range 64 { // 16 MiB: more than the queue and the sockets hold
		_ = slow.ws.Write(t.Context(), websocket.MessageBinary, wire.AppendData(nil, alice.runtime, []byte("x"))) // it answers, and reads nothing, until it is closed
		alice.write(wire.AppendData(nil, slow.runtime, payload))
		alice.write(wire.AppendData(nil, bob.runtime, []byte("x")))
		if kind, _ := bob.frame(); kind != wire.KindData {
			t.Fatal("bob did not get his")
		}
		if used := n.conns.Memory.Kept(); used > 4<<20 {
			t.Fatalf("%d bytes are kept", used)
		}
	}
	eventually(t, "the slow one is closed", func() bool { return n.conns.Len() == 2 })
}

// Messages are not dropped unnoticed: the node closes the connection of a subscriber that does not keep up.
func TestSlowSubscriberIsClosed(t *testing.T) {
	n := start(t, Options{Limits: Limits{Queue: 2 << 20}})
	alice, slow := n.join(t, 1), n.join(t, 2)
	object := alice.allocate(`{"scheme":"comm"}`)[0]
	slow.must(message.Subscribe, manager, fmt.Sprintf(`{"subscribe":["%s/changes"]}`, object))
	body := message.Encode(map[string]string{"value": strings.Repeat("x", 256<<10)})
	for i := range 64 {
		alice.send(message.Message{ID: message.NumberID(uint64(i + 1)), Type: message.Update, From: object, To: object.Join("changes"), Body: body})
	}
	alice.allocate(`{"scheme":"comm"}`) // the node has read all of it
	if code, reason := slow.closed(); code != websocket.StatusTryAgainLater || !strings.Contains(reason, "slow") {
		t.Errorf("closed with %d %s", code, reason)
	}
}

// Messages that nobody asked for do not cause their receiver's connection to be closed.
func TestFloodOfMessages(t *testing.T) {
	n := start(t, Options{Limits: Limits{Queue: 2 << 20}, Times: Times{Write: time.Minute}})
	alice, bob, mallory := n.join(t, 1), n.join(t, 2), n.join(t, 3)
	body := message.Encode(map[string]string{"value": strings.Repeat("x", 256<<10)})
	for i := range 64 { // alice does not read meanwhile
		mallory.send(message.Message{ID: message.NumberID(uint64(i + 1)), Type: message.Update, From: mallory.runtime.Join("x"), To: alice.runtime.Join("x"), Body: body})
	}
	mallory.allocate(`{"scheme":"comm"}`) // the node has read all of it
	bob.write(wire.AppendData(nil, alice.runtime, []byte("hello")))
	from, data := alice.data()
	if from != bob.runtime || data[0] != "hello" {
		t.Fatalf("%s %q", from, data)
	}
	if n.conns.Len() != 3 {
		t.Errorf("%d connections", n.conns.Len())
	}
}

func TestLimitOnConnections(t *testing.T) {
	n := start(t, Options{Limits: Limits{Connections: 1}})
	n.join(t, 1)
	r, err := http.Get("http://" + n.Addr().String() + "/healthz")
	if err != nil || r.StatusCode != 200 {
		t.Fatal(r, err)
	}
	r.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	_, response, err := websocket.Dial(t.Context(), n.url+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
	if err == nil || response.StatusCode != 503 {
		t.Errorf("the second connection: %v", err)
	}
}

func TestDescriptor(t *testing.T) {
	n := start(t, Options{})
	r, err := http.Get("http://" + n.Addr().String() + "/.well-known/protocolstub/default")
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer r.Body.Close()
	var d struct {
		Name, Type    string
		Configuration struct{ URL string }
	}
	if err := json.NewDecoder(r.Body).Decode(&d); err != nil || d.Name != "default" || d.Type != "node" || d.Configuration.URL != n.url+wire.Path {
		t.Errorf("%+v %v", d, err)
	}
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"no domain":              {Data: "d"},
		"no data":                {Domain: domain},
		"plain beyond loopback":  {Domain: domain, Data: "d", Listen: "0.0.0.0:0"},
		"no port":                {Domain: domain, Data: "d", Listen: "localhost"},
		"a URL that is none":     {Domain: domain, Data: "d", PublicURL: "http://x"},
		"a negative limit":       {Domain: domain, Data: "d", Limits: Limits{Writes: -1}},
		"a negative time":        {Domain: domain, Data: "d", Times: Times{Grace: -1}},
		"a domain that is none":  {Domain: "a b", Data: "d"},
		"a queue that is no use": {Domain: domain, Data: "d", Limits: Limits{Queue: 1}},
	} {
		if err := o.Check(); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	if _, err := New(t.Context(), Options{Domain: domain, Data: t.TempDir(), Listen: busy.Addr().String()}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a port in use: %v", err)
	}
	n := start(t, Options{})
	if _, err := New(t.Context(), Options{Domain: domain, Data: n.opts.Data}); err == nil || !strings.Contains(err.Error(), "another node") {
		t.Errorf("a data folder in use: %v", err)
	}
}

func TestTrace(t *testing.T) {
	events := make(chan Event, 100)
	n := start(t, Options{Trace: func(e Event) { events <- e }})
	alice, bob := n.join(t, 1), n.join(t, 2)
	alice.write(wire.AppendData(nil, bob.runtime, []byte("abc")))
	bob.frame()
	alice.send(message.Message{ID: message.NumberID(1), Type: message.Create, From: alice.runtime, To: bob.runtime.Join("sm")})
	bob.message()
	var got []string
	for range 4 {
		select {
		case e := <-events:
			if e.From != alice.runtime {
				t.Errorf("%+v", e)
			}
			got = append(got, fmt.Sprintf("%s %s%v", e.Kind, e.Hash, e.Type))
		case <-time.After(patience):
			t.Fatal("only", got)
		}
	}
	const abc = "ba7816bf8f01cfea" // of SHA-256("abc")
	if strings.Join(got, ",") != "in "+abc+"type(0),out "+abc+"type(0),in create,out create" {
		t.Error(got)
	}
}

// An idle connection has no writer; it gets one again when there is something to write.
func TestIdleConnectionHasNoWriter(t *testing.T) {
	t.Parallel()
	n := start(t, Options{})
	alice, bob := n.join(t, 1), n.join(t, 2)
	writes := n.router.Roster.Of(bob.runtime).Writing
	for i := range 3 {
		eventually(t, "the writer has ended", func() bool { return !writes() })
		for range 1 + 20*i {
			alice.write(wire.AppendData(nil, bob.runtime, []byte("x")))
		}
		for range 1 + 20*i {
			if kind, _ := bob.frame(); kind != wire.KindData {
				t.Fatalf("got frame %d", kind)
			}
		}
	}
}
