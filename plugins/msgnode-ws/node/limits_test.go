package node

import (
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/web"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// everyAddress makes the node count loopback addresses like others: tests attack from 127.0.0.1 and are honest at 127.0.0.2.
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
	t.Parallel()
	n := start(t, Options{Exempt: everyAddress, Limits: Limits{Connections: 2, Unproven: 8}, Times: Times{Handshake: time.Minute}})
	alice := n.joinAt(t, "127.0.0.2", 1)
	ended := rawConns(t, n, 300)
	eventually(t, "all but 8 are closed", func() bool { return ended.Load() >= 292 })
	n.joinAt(t, "127.0.0.3", 2)
	alice.sync()
	if waiting, attached := n.listener.Held(); waiting > 8 || attached != 2 {
		t.Errorf("%d wait, %d are attached", waiting, attached)
	}
}

// One address may have so many connections; further ones are refused with the time to come again.
func TestConnectionsOfOneAddress(t *testing.T) {
	n := start(t, Options{Exempt: everyAddress, Limits: Limits{PerAddress: 3}})
	alice := n.join(t, 1)
	rawConns(t, n, 2)
	eventually(t, "counted", func() bool {
		waiting, _ := n.listener.Held()
		return waiting == 2
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

// At whatever step a connection stays silent, it is closed after a time.
func TestConnectionsThatWaitAreClosed(t *testing.T) {
	t.Parallel()
	n := start(t, Options{Legacy: true, Times: Times{Handshake: 500 * time.Millisecond}})
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
		"no session":                fmt.Sprintf(upgrade, web.PathSession),
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
	n := start(t, Options{TLS: &tls.Config{Certificates: []tls.Certificate{pair}}, Times: Times{Handshake: 500 * time.Millisecond}})
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

// A connection that has proved nothing may send a proof, and not a megabyte.
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

// Keys cost nothing, so an address may bring a limited number of new ones in an hour. Known runtimes come and go as they like.
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

// A source that goes on making keys is refused before its proof is verified; other runtimes of the address are admitted again
// soon.
func TestRefusedNewcomersCost(t *testing.T) {
	t.Parallel()
	n := start(t, Options{Exempt: everyAddress, Limits: Limits{Newcomers: 1, Handshakes: 1}})
	alice := n.join(t, 1)
	alice.allocate(`{"value":{"number":1}}`)
	looked, refused := 0, false
	for i := 0; i < 100 && !refused; i++ {
		ws, r, err := websocket.Dial(t.Context(), n.url+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
		if refused = err != nil; refused {
			wantLater(t, r, err, 429)
			break
		}
		if _, no := n.tryGreet(t, ws, 2+i, ""); no == nil || no.Code != 429 {
			t.Fatalf("number %d: %v", i, no)
		}
		looked++
	}
	if !refused || looked > 3 {
		t.Errorf("%d proofs were looked at", looked)
	}
	eventually(t, "a known runtime comes in", func() bool {
		_, _, err := websocket.Dial(t.Context(), n.url+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
		return err == nil
	})
}

// Newcomers that are refused count against the connections of their address, and not against the requests of runtimes that are
// connected: those may be neighbours behind one router.
func TestRefusedNewcomersHarmNoNeighbours(t *testing.T) {
	n := start(t, Options{Exempt: everyAddress, Limits: Limits{Newcomers: 1}})
	alice := n.join(t, 1)
	for i, refused := 0, 0; refused < 200; i++ {
		ws, _, err := websocket.Dial(t.Context(), n.url+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
		if err != nil { // refused without a proof
			refused++
			continue
		}
		if _, no := n.tryGreet(t, ws, 2+i, ""); no != nil {
			refused++
		}
		ws.CloseNow()
	}
	for range 20 {
		if code, text := alice.ask(message.Create, allocator, `{"value":{"number":1}}`); code != 200 {
			t.Fatalf("%d %s", code, text)
		}
	}
}

// Connections that come one after the other, TLS handshakes among them, are bounded by address.
func TestArrivalsOfOneAddress(t *testing.T) {
	n := start(t, Options{Exempt: everyAddress, Limits: Limits{Handshakes: 1}})
	for range 20 {
		c, err := net.Dial("tcp", n.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	r, err := at(t, "127.0.0.1").Get("http://" + n.Addr().String() + web.PathHealth)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != 429 || r.Header.Get("Retry-After") == "" {
		t.Errorf("one more: %s", r.Status)
	}
	n.joinAt(t, "127.0.0.2", 1)
}

// A runtime with many addresses that comes and goes costs its address as much as it costs the node.
func TestReturnsOfOneAddress(t *testing.T) {
	n := start(t, Options{Exempt: everyAddress, Limits: Limits{Handshakes: 1}})
	alice := n.join(t, 1)
	for range 300 / 50 {
		var list []string
		for range 50 {
			list = append(list, fmt.Sprintf("%q", "comm://example.com/"+rand.Text()+"/changes"))
		}
		alice.must(message.Subscribe, manager, `{"resources":[`+strings.Join(list, ",")+`]}`)
	}
	var refused *wire.Refused
	for range 5 { // 1 + 4 of 10 each time
		ws, r, err := websocket.Dial(t.Context(), n.url+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
		if err != nil { // the last return may have taken all that was left
			wantLater(t, r, err, 429)
			refused = &wire.Refused{Code: 429, Retry: 1}
			break
		}
		ws.SetReadLimit(wire.MaxPacket)
		t.Cleanup(func() { ws.CloseNow() })
		if _, refused = n.tryGreet(t, ws, 1, ""); refused != nil {
			break
		}
	}
	if refused == nil || refused.Code != 429 || refused.Retry < 1 {
		t.Errorf("got %v", refused)
	}
	n.joinAt(t, "127.0.0.2", 2)
}

// An address that has taken all places makes room for others.
func TestOneAddressHasNotAllPlaces(t *testing.T) {
	n := start(t, Options{Exempt: everyAddress, Limits: Limits{Connections: 4}})
	var mine []*client
	for i := range 4 {
		mine = append(mine, n.join(t, i))
	}
	_, r, err := websocket.Dial(t.Context(), n.url+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
	wantLater(t, r, err, 503)
	n.joinAt(t, "127.0.0.2", 10).sync()
	if code, reason := mine[3].closed(); code != websocket.StatusTryAgainLater || !strings.Contains(reason, "your address has the most") {
		t.Errorf("closed with %d %s", code, reason)
	}
	mine[0].sync()
}
