package node

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// everyAddress has loopback counted like any other address: tests attack from 127.0.0.1 and are honest at 127.0.0.2.
var everyAddress = []netip.Prefix{}

// at is a client of HTTP and WebSockets at another address of this machine.
func at(t testing.TB, ip string) *http.Client {
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	tr := &http.Transport{DialContext: d.DialContext}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// joinAt connects the n-th runtime from another address.
func (r *running) joinAt(t testing.TB, ip string, n int) *client {
	t.Helper()
	return r.greet(t, dial(t, r.url+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}, HTTPClient: at(t, ip)}), n, "")
}

// rawConns opens TCP connections that say nothing, and counts those that the node ends.
func rawConns(t testing.TB, n *running, count int) (ended *atomic.Int64) {
	t.Helper()
	ended = new(atomic.Int64)
	var conns []net.Conn
	left := count
	results := make(chan struct{}, count)
	for range count {
		c, err := net.Dial("tcp", n.Addr().String())
		if err != nil {
			ended.Add(1)
			left--
			continue
		}
		conns = append(conns, c)
		go func() {
			_, _ = io.Copy(io.Discard, c)
			ended.Add(1)
			results <- struct{}{}
		}()
	}
	t.Cleanup(func() {
		for _, c := range conns {
			c.Close()
		}
		for range left {
			<-results
		}
	})
	return ended
}

// 300 connections that say nothing hold no more places than there are for strangers, and keep nobody out.
func TestSilentConnectionsAreBounded(t *testing.T) {
	n := start(t, Options{Exempt: everyAddress, Limits: Limits{Connections: 2, Unproven: 8}})
	alice := n.joinAt(t, "127.0.0.2", 1)
	ended := rawConns(t, n, 300)
	eventually(t, "all but 8 are closed", func() bool { return ended.Load() >= 292 })
	n.joinAt(t, "127.0.0.3", 2)
	alice.sync()
	n.door.mu.Lock()
	defer n.door.mu.Unlock()
	if g := n.door.gate; g.waiting > 8 || g.inside != 2 {
		t.Errorf("%d wait, %d are attached", g.waiting, g.inside)
	}
}

// One address has so many connections and no more; the others are told when to come again.
func TestConnectionsOfOneAddress(t *testing.T) {
	n := start(t, Options{Exempt: everyAddress, Limits: Limits{PerAddress: 3}})
	alice := n.join(t, 1)
	rawConns(t, n, 2)
	eventually(t, "counted", func() bool {
		n.door.mu.Lock()
		defer n.door.mu.Unlock()
		return n.door.gate.waiting == 2
	})
	_, r, err := websocket.Dial(t.Context(), n.url+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}, HTTPClient: at(t, "127.0.0.1")})
	wantLater(t, r, err, 429)
	n.joinAt(t, "127.0.0.2", 2)
	alice.sync()
}

// wantLater checks a refusal with a time to come again.
func wantLater(t *testing.T, r *http.Response, err error, status int) {
	t.Helper()
	if err == nil || r == nil || r.StatusCode != status {
		t.Fatalf("got %v, %v, want %d", r, err, status)
	}
	if s, err := strconv.Atoi(r.Header.Get("Retry-After")); err != nil || s < 1 {
		t.Errorf("Retry-After: %q", r.Header.Get("Retry-After"))
	}
}

// Behind a proxy the clients are counted, not the proxy.
func TestConnectionsBehindAProxy(t *testing.T) {
	n := start(t, Options{Exempt: everyAddress, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Limits: Limits{PerAddress: 1}})
	from := func(client string) *websocket.DialOptions {
		return &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}, HTTPClient: at(t, "127.0.0.1"), HTTPHeader: http.Header{"X-Forwarded-For": {client}}}
	}
	n.greet(t, dial(t, n.url+wire.Path, from("192.0.2.1")), 1, "")
	_, r, err := websocket.Dial(t.Context(), n.url+wire.Path, from("192.0.2.1"))
	wantLater(t, r, err, 429)
	n.greet(t, dial(t, n.url+wire.Path, from("192.0.2.2")), 2, "")
}

// Whatever a connection waits with, it does not wait for ever.
func TestConnectionsThatWaitAreClosed(t *testing.T) {
	n := start(t, Options{Legacy: true, Times: Times{Handshake: 100 * time.Millisecond}})
	honest := n.join(t, 1)
	dialNode := func() net.Conn {
		c, err := net.Dial("tcp", n.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	upgrade := "GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Protocol: protofly.v1\r\n\r\n"
	for name, say := range map[string]string{
		"nothing":                   "",
		"half a request":            "GET / HTTP/1.1\r\nX: ",
		"a request, then nothing":   "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
		"a body that does not come": "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n",
		"no proof":                  fmt.Sprintf(upgrade, wire.Path),
		"no session":                fmt.Sprintf(upgrade, pathSession),
	} {
		c := dialNode()
		if _, err := io.WriteString(c, say); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("%s: the connection stays", name)
		}
	}
	honest.sync()
}

// HTTP/2, whose connections carry many requests at once, is off; a TLS handshake that does not go on is ended.
func TestTLSIsBounded(t *testing.T) {
	s := httptest.NewTLSServer(nil)
	pair := s.TLS.Certificates[0]
	s.Close()
	n := start(t, Options{TLS: &tls.Config{Certificates: []tls.Certificate{pair}}, Times: Times{Handshake: 100 * time.Millisecond}})
	c, err := tls.Dial("tcp", n.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if p := c.ConnectionState().NegotiatedProtocol; p != "http/1.1" {
		t.Errorf("negotiated %q", p)
	}
	half, err := net.Dial("tcp", n.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	_, _ = half.Write([]byte{22, 3, 1, 2, 0, 1})
	_ = half.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, half); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Error("half a TLS handshake stays")
	}
}

// Who has not proved anything may send a proof, and not a megabyte.
func TestUnprovenPackets(t *testing.T) {
	n := start(t, Options{Legacy: true})
	ws := dial(t, n.url+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
	go ws.Write(t.Context(), websocket.MessageBinary, make([]byte, 1<<20))
	for {
		if _, _, err := ws.Read(t.Context()); err != nil {
			if websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
				t.Errorf("a megabyte before the proof: %v", err)
			}
			break
		}
	}
	j := n.session(t)
	go j.ws.Write(t.Context(), websocket.MessageText, make([]byte, 1<<20))
	if _, err := j.read(); websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
		t.Errorf("a megabyte before a session: %v", err)
	}
}

func TestHandshakesOfOneAddress(t *testing.T) {
	n := start(t, Options{Exempt: everyAddress, Limits: Limits{Handshakes: 1}})
	for range 10 {
		ws := dial(t, n.url+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
		ws.CloseNow()
	}
	_, r, err := websocket.Dial(t.Context(), n.url+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
	wantLater(t, r, err, 429)
	n.joinAt(t, "127.0.0.2", 1)
}

// Keys cost nothing: an address brings so many new ones in an hour. Known runtimes come and go as they like.
func TestNewcomersOfOneAddress(t *testing.T) {
	n := start(t, Options{Exempt: everyAddress, Limits: Limits{Newcomers: 2}})
	alice := n.join(t, 1)
	alice.allocate(`{"value":{"number":1}}`)
	n.join(t, 2)
	ws := dial(t, n.url+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
	if _, refused := n.tryGreet(t, ws, 3, ""); refused == nil || refused.Code != 429 || refused.Retry < 1 {
		t.Errorf("the third: %v", refused)
	}
	n.joinAt(t, "127.0.0.2", 4)
	n.join(t, 1)
}

// Requests beyond what a connection may ask for are refused with a time to try again; another connection is not held up.
func TestRequestsOfOneConnection(t *testing.T) {
	n := start(t, Options{Limits: Limits{Requests: 10}})
	mallory, alice := n.join(t, 1), n.join(t, 2)
	refused := 0
	for i := range 200 {
		mallory.send(message.Message{ID: message.NumberID(uint64(i + 1)), Type: message.Read, From: mallory.runtime, To: registry, Body: json.RawMessage(`{"resource":"hyperty://example.com/none"}`)})
	}
	for range 200 {
		m := mallory.message()
		var b struct {
			Code, Retry int
			Description string
		}
		if err := m.Decode(&b); err != nil {
			t.Fatal(err)
		}
		if b.Code == 429 {
			if refused++; b.Retry < 1 || !strings.Contains(b.Description, "try again in") {
				t.Fatalf("%s", m.Body)
			}
		}
	}
	if refused < 50 {
		t.Errorf("%d of 200 were refused", refused)
	}
	alice.sync()
}

// A short read of very much is refused before it is computed.
func TestExpensiveReads(t *testing.T) {
	n := start(t, Options{})
	alice := n.join(t, 1)
	big := strings.Repeat("x", 60<<10)
	for i := range 60 {
		u := alice.allocate(`{"value":{"number":1}}`)[0]
		alice.must(message.Create, registry, entryOf(alice.runtime, u, fmt.Sprintf(`,"user":"user://example.com/u%d","more":%q`, i, big)))
	}
	before := spentBytes()
	c := n.connOf(t, alice)
	m := message.Message{ID: message.NumberID(1), Type: message.Read, From: alice.runtime, To: registry, Body: json.RawMessage(`{"criteria":{"scheme":"hyperty"}}`)}
	if _, r := n.domainRegistry(c, m); r == nil || r.code != 413 {
		t.Fatalf("%+v", r)
	}
	if spent := spentBytes() - before; spent > 256<<10 {
		t.Errorf("it took %d bytes to refuse", spent)
	}
	if code, _ := alice.ask(message.Read, registry, `{"resource":"user://example.com/u1"}`); code != 200 {
		t.Errorf("a narrow one: %d", code)
	}
}

func spentBytes() uint64 {
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.TotalAlloc
}

// connOf is the node's side of a client.
func (r *running) connOf(t *testing.T, c *client) *conn {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.runtimes[c.runtime] == nil {
		t.Fatal("not attached")
	}
	return r.runtimes[c.runtime]
}

// What one runtime, one address and all together keep is bounded in bytes; what is there is kept alive all the same.
func TestStateIsBounded(t *testing.T) {
	big := strings.Repeat("x", 30<<10)
	for name, c := range map[string]struct {
		limits Limits
		code   int
		other  int // what a runtime at another address is answered then
	}{
		"runtime": {Limits{RuntimeState: 100 << 10}, 429, 200},
		"address": {Limits{AddressState: 100 << 10}, 429, 200},
		"all":     {Limits{State: 100 << 10}, 500, 500},
		"rows":    {Limits{Rows: 6}, 500, 500},
	} {
		t.Run(name, func(t *testing.T) {
			n := start(t, Options{Exempt: everyAddress, Limits: c.limits})
			mallory, honest := n.join(t, 1), n.joinAt(t, "127.0.0.2", 2)
			first := mallory.allocate(`{"value":{"number":1}}`)[0]
			mine := honest.allocate(`{"value":{"number":1}}`)[0]
			mallory.must(message.Create, registry, entryOf(mallory.runtime, first, ""))
			code, text := 200, ""
			for range 20 {
				var u []message.URL
				code, text = mallory.ask(message.Create, allocator, `{"value":{"number":1}}`)
				var v struct{ Allocated []message.URL }
				if code == 200 && json.Unmarshal([]byte(text), &v) == nil {
					u = v.Allocated
					code, text = mallory.ask(message.Create, registry, entryOf(mallory.runtime, u[0], fmt.Sprintf(`,"more":%q`, big)))
				}
				if code != 200 {
					break
				}
			}
			if code != c.code {
				t.Errorf("the attack ended with %d %s, want %d", code, text, c.code)
			}
			if code, text := mallory.ask(message.Update, registry, fmt.Sprintf(`{"resource":%q}`, first)); code != 200 {
				t.Errorf("a keep-alive: %d %s", code, text)
			}
			if code, text := honest.ask(message.Create, registry, entryOf(honest.runtime, mine, fmt.Sprintf(`,"more":%q`, big))); code != c.other {
				t.Errorf("another address: %d %s", code, text)
			}
		})
	}
}

// What waits for all connections together is bounded: those that do not read, and for which the most waits, are closed.
func TestMemoryIsBounded(t *testing.T) {
	n := start(t, Options{Limits: Limits{Queue: 8 << 20, Memory: 16 << 20}})
	alice, bob := n.join(t, 1), n.join(t, 2)
	sender := n.join(t, 3)
	var slow []*client
	for i := range 8 {
		slow = append(slow, n.join(t, 10+i)) // and reads nothing
	}
	for _, c := range slow {
		acquaint(sender, c)
	}
	payload := make([]byte, 1<<20)
	for range 14 {
		for _, c := range slow {
			sender.write(wire.AppendData(nil, c.runtime, payload))
		}
		alice.write(wire.AppendData(nil, bob.runtime, []byte("hello")))
		if kind, _ := bob.frame(); kind != wire.KindData {
			t.Fatalf("honest traffic: frame %d", kind)
		}
		if used := n.memory.used.Load(); used > 18<<20 {
			t.Fatalf("%d bytes are kept", used)
		}
	}
	eventually(t, "some of those that do not read are gone", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return len(n.runtimes) < 11
	})
	for _, c := range slow {
		c.ws.CloseNow()
	}
	sender.ws.CloseNow()
	alice.ws.CloseNow()
	bob.ws.CloseNow()
	eventually(t, "nothing is kept for nobody", func() bool { return n.connections() == 0 && n.memory.used.Load() == 0 })
}

// What waits for many is kept once: a publication to all of them is not taken for as many messages.
func TestSharedPacketsCountOnce(t *testing.T) {
	m := &memory{}
	p := m.share(make([]byte, 1000), 3)
	if m.used.Load() != 1000 {
		t.Error(m.used.Load())
	}
	m.release(p)
	m.release(p)
	if m.used.Load() != 1000 {
		t.Error(m.used.Load())
	}
	m.release(p)
	if m.used.Load() != 0 {
		t.Error(m.used.Load())
	}
}

// A runtime that comes with ever new keys and goes leaves nothing behind.
func TestNothingIsKeptOfStrangers(t *testing.T) {
	n := start(t, Options{})
	for i := range 50 {
		c := n.join(t, i)
		c.ws.CloseNow()
	}
	eventually(t, "they are gone", func() bool { return n.connections() == 0 })
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.missing)+len(n.runtimes)+len(n.byID) != 0 {
		t.Errorf("%d are missed, %d are there", len(n.missing), len(n.runtimes))
	}
}

// The reference's dialects, which prove nothing, have a share of the connections and no more.
func TestLegacyConnectionsAreBounded(t *testing.T) {
	n := start(t, Options{Legacy: true, Limits: Limits{Legacy: 2}})
	for i := range 2 {
		n.plain(t, fmt.Sprintf("runtime://example.com/r%d", i))
	}
	r, err := http.Get("http://" + n.Addr().String() + pathPlain + "?runtimeURL=runtime://example.com/r3")
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer r.Body.Close()
	if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
		t.Errorf("the third: %s", r.Status)
	}
	n.join(t, 1)
}

// Large packets of which the rest never comes: what the node keeps of them is bounded.
func TestUnfinishedPacketsAreBounded(t *testing.T) {
	n := start(t, Options{Limits: Limits{Queue: 2 << 20, Memory: 4 << 20}})
	alice, bob := n.join(t, 1), n.join(t, 2)
	for i := range 8 {
		c := n.join(t, 10+i)
		w, err := c.ws.Writer(t.Context(), websocket.MessageBinary)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(make([]byte, 1<<20)) // fails where the node has closed it already
	}
	eventually(t, "some of them are gone", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return len(n.runtimes) < 10
	})
	if used := n.memory.used.Load(); used > 6<<20 {
		t.Errorf("%d bytes are kept", used)
	}
	alice.write(wire.AppendData(nil, bob.runtime, make([]byte, 100<<10)))
	if kind, _ := bob.frame(); kind != wire.KindData {
		t.Errorf("honest traffic: frame %d", kind)
	}
}

// A state that is nearly full gives up what is disconnected, first of whoever has the most; what is live stays.
func TestStrangersEntriesMakeRoom(t *testing.T) {
	n := start(t, Options{Exempt: everyAddress, Limits: Limits{State: 400 << 10, AddressState: 350 << 10}, Times: Times{Sweep: 20 * time.Millisecond}})
	honest, mallory := n.joinAt(t, "127.0.0.2", 1), n.join(t, 2)
	mine := honest.allocate(`{"value":{"number":1}}`)[0]
	gone := strings.Replace(entryOf(honest.runtime, mine, ""), `"live"`, `"disconnected"`, 1)
	honest.must(message.Create, registry, gone)
	first := mallory.allocate(`{"value":{"number":1}}`)[0]
	mallory.must(message.Create, registry, entryOf(mallory.runtime, first, ""))
	big := strings.Repeat("x", 30<<10)
	for range 30 { // of which the state would hold 12
		u := mallory.allocate(`{"value":{"number":1}}`)[0]
		body := strings.Replace(entryOf(mallory.runtime, u, fmt.Sprintf(`,"more":%q`, big)), `"live"`, `"disconnected"`, 1)
		eventually(t, "there is room", func() bool {
			code, _ := mallory.ask(message.Create, registry, body)
			return code == 200
		})
	}
	if code, _ := honest.ask(message.Read, registry, fmt.Sprintf(`{"resource":%q}`, mine)); code != 408 {
		t.Errorf("the honest runtime's entry: %d", code)
	}
	if code, _ := honest.ask(message.Read, registry, fmt.Sprintf(`{"resource":%q}`, first)); code != 200 {
		t.Errorf("a live entry: %d", code)
	}
}

// Messages that are passed on as they are cost their sender something too: a flood of them is refused, and others are not.
func TestRoutedMessagesAreBounded(t *testing.T) {
	n := start(t, Options{Limits: Limits{Requests: 10}})
	alice, bob, mallory := n.join(t, 1), n.join(t, 2), n.join(t, 3)
	for i := range 500 {
		mallory.send(message.Message{ID: message.NumberID(uint64(i + 1)), Type: message.Update, From: mallory.runtime.Join("x"), To: alice.runtime.Join("x")})
	}
	refused := 0
	for refused < 350 {
		m := mallory.message()
		if r, err := m.Result(); err != nil || r.Code != message.CodeTooMany || !strings.Contains(r.Description, "try again in") {
			t.Fatalf("%+v, %v", r, err)
		}
		refused++
	}
	bob.send(message.Message{ID: message.NumberID(1), Type: message.Update, From: bob.runtime.Join("x"), To: alice.runtime.Join("x")})
	for came := 0; ; came++ {
		if m := alice.message(); m.From == bob.runtime.Join("x") {
			if came > 150 {
				t.Errorf("%d messages of a flood came", came)
			}
			return
		}
	}
}
