package core_test

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// reference is a runtime as the reference implementation has them: it speaks JSON with its Message Node, over a WebSocket,
// and proves nothing. The WebSocket is a minimal one: each text is in one frame.
type reference struct {
	t    testing.TB
	url  message.URL // runtime://…
	conn net.Conn
	in   chan message.Message // closed at the end
	held []message.Message    // messages that came while another one was awaited
	ids  uint64
}

// startReference connects a reference runtime to a node that allows such runtimes.
func startReference(t testing.TB, n *nodeProcess, id string) *reference {
	t.Helper()
	r := &reference{t: t, url: message.URL("runtime://" + n.domain + "/" + id), in: make(chan message.Message, 1024)}
	conn, err := net.Dial("tcp", n.listen)
	if err != nil {
		t.Fatal(err)
	}
	r.conn = conn
	key := make([]byte, 16)
	_, _ = rand.Read(key)
	fmt.Fprintf(conn, "GET /stub/connect?runtimeURL=%s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n",
		url.QueryEscape(string(r.url)), n.listen, base64.StdEncoding.EncodeToString(key))
	in := bufio.NewReader(conn)
	answer, err := http.ReadResponse(in, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%s at the node: %v %+v", r.url, err, answer)
	}
	done := make(chan struct{})
	go func() { defer close(done); r.read(in) }()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	return r
}

// read takes frames until the connection ends: texts are messages, pings are answered.
func (r *reference) read(in *bufio.Reader) {
	defer close(r.in)
	for {
		var head [2]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return
		}
		size := uint64(head[1] & 0x7f)
		if more := map[uint64]int{126: 2, 127: 8}[size]; more > 0 {
			long := make([]byte, 8)
			if _, err := io.ReadFull(in, long[8-more:]); err != nil {
				return
			}
			size = binary.BigEndian.Uint64(long)
		}
		text := make([]byte, size)
		if _, err := io.ReadFull(in, text); err != nil {
			return
		}
		switch head[0] & 0x0f {
		case 1:
			var m message.Message
			if err := m.UnmarshalJSON(text); err != nil {
				r.t.Errorf("%s got %s: %v", r.url, text, err)
			}
			r.in <- m
		case 9:
			r.frame(10, text)
		}
	}
}

// frame writes one masked frame; the mask is zero.
func (r *reference) frame(kind byte, text []byte) {
	out := []byte{0x80 | kind, 0x80 | 127}
	out = append(binary.BigEndian.AppendUint64(out, uint64(len(text))), 0, 0, 0, 0)
	_, _ = r.conn.Write(append(out, text...))
}

// post sends a message as it is.
func (r *reference) post(m message.Message) {
	r.t.Helper()
	text, err := m.MarshalJSON()
	if err != nil {
		r.t.Fatal(err)
	}
	r.frame(1, text)
}

// await returns the next message that matches; others are kept.
func (r *reference) await(what string, match func(message.Message) bool) message.Message {
	r.t.Helper()
	for i, m := range r.held {
		if match(m) {
			r.held = append(r.held[:i:i], r.held[i+1:]...)
			return m
		}
	}
	timeout := time.After(waitTime)
	for {
		select {
		case m, ok := <-r.in:
			if !ok {
				r.t.Fatalf("%s: the connection has ended before %s", r.url, what)
			}
			if match(m) {
				return m
			}
			r.held = append(r.held, m)
		case <-timeout:
			r.t.Fatalf("%s: %s did not come; came %v", r.url, what, r.held)
		}
	}
}

// ask sends a request and returns the code and the value, or the description, of its answer.
func (r *reference) ask(from message.URL, kind message.Type, to message.URL, body string) (int, string) {
	r.t.Helper()
	r.ids++
	id := message.NumberID(r.ids)
	r.post(message.Message{ID: id, Type: kind, From: from, To: to, Body: json.RawMessage(body)})
	m := r.await("the answer of "+string(to), func(m message.Message) bool {
		return m.Type == message.Response && m.ID.Key() == id.Key() && m.To == from
	})
	if m.From != to {
		r.t.Errorf("asked %s, answered %s", to, m.From)
	}
	result, err := m.Result()
	if err != nil {
		r.t.Fatal(err)
	}
	if len(result.Value) == 0 {
		return result.Code, result.Description
	}
	return result.Code, string(result.Value)
}

// register enters an address at the Domain Registry as the reference's runtimes do.
func (r *reference) register(name message.URL) {
	r.t.Helper()
	body := fmt.Sprintf(`{"value":{"url":%q,"runtime":%q,"status":"live","expires":3600,"resources":[],"dataSchemes":[],"descriptor":"hyperty-catalogue://c/x","user":"user://u/x","schema":"s","name":"n","reporter":%q,"p2pHandler":"%s/p2phandler/x","p2pRequester":"hyperty-catalogue://c/.well-known/protocolstub/webrtc"}}`,
		name, r.url, name, r.url)
	if code, why := r.ask(r.url.Join("registry"), message.Create, message.DomainRegistryAddress(r.url.NodeDomain()), body); code != 200 {
		r.t.Fatalf("register %s: %d %s", name, code, why)
	}
}
