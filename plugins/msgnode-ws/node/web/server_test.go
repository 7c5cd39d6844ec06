package web

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/admission"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/conn"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/invites"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/limits"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/writes"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
)

// upgrade are the headers of a request for a WebSocket of protofly.v1.
var upgrade = []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "MDEyMzQ1Njc4OWFiY2RlZg==",
	"Sec-WebSocket-Protocol", wire.Subprotocol}

// connect makes a WebSocket from an address, and reads the node's challenge.
func (w *world) connect(from string, headers http.Header) *websocket.Conn {
	w.t.Helper()
	ws, _, err := websocket.Dial(w.t.Context(), "ws://node.example.com"+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol},
		HTTPClient: w.client(from), HTTPHeader: headers})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, packet, err := ws.Read(w.t.Context()); err != nil || len(packet) == 0 || wire.Kind(packet[0]) != wire.KindChallenge {
		w.t.Fatalf("no challenge but %q, %v", packet, err)
	}
	return ws
}

// A WebSocket is counted for as long as it lives, and leaves nothing behind.
func TestWebSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, Options{})
		ws := w.connect(here, nil)
		held(t, w.o.Listener, 1, 0)
		if n := w.o.Conns.Len(); n != 1 {
			t.Errorf("%d connections", n)
		}
		ws.CloseNow()
		synctest.Wait()
		held(t, w.o.Listener, 0, 0)
		if n := w.o.Conns.Len(); n != 0 {
			t.Errorf("%d connections when it has ended", n)
		}
	})
}

// What is no WebSocket of protofly.v1, or one of another web page, is refused, and no connection.
func TestNoWebSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, Options{Origins: []string{"friend.example"}})
		w.get(here, wire.Path, http.StatusBadRequest, wire.Subprotocol)
		w.get(here, wire.Path, http.StatusUpgradeRequired, "", "Sec-WebSocket-Protocol", wire.Subprotocol)
		w.get(here, wire.Path, http.StatusForbidden, "", append(upgrade, "Origin", "http://stranger.example")...)
		w.get(here, "/nothing", http.StatusNotFound, "")
		synctest.Wait()
		if n := w.o.Conns.Len(); n != 0 {
			t.Errorf("%d connections", n)
		}
		w.connect(here, http.Header{"Origin": {"http://friend.example"}}).CloseNow()
	})
}

// Where as many are attached as may be, a WebSocket is refused before it costs a handshake.
func TestFullNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, Options{Limits: limits.Limits{Connections: 1}})
		ticket := &quota.Ticket{From: quota.Source{Prefix: netip.MustParsePrefix(here + "/32")}}
		if v := w.o.Listener.arrive(ticket); v != quota.Welcome || !w.o.Listener.Enter(ticket, false, nil) {
			t.Fatal("not attached")
		}
		w.get(there, wire.Path, http.StatusServiceUnavailable, "the node has 1 connections", upgrade...)
		w.get(there, PathHealth, http.StatusOK, "ok")
	})
}

// A node that stops takes no WebSocket any more.
func TestStoppingNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, Options{})
		w.o.Conns.Close()
		q, r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, wire.Path, nil), httptest.NewRecorder()
		for i := 0; i < len(upgrade); i += 2 {
			q.Header.Set(upgrade[i], upgrade[i+1])
		}
		w.acceptBinary(r, q)
		if r.Code != http.StatusServiceUnavailable {
			t.Errorf("%d %s", r.Code, r.Body)
		}
	})
}

// An address has so many WebSockets and so many requests in a time, and no more; another one has its own.
func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, Options{Limits: limits.Limits{Handshakes: 2}}) // 20 at once
		for range 20 {
			w.connect(here, nil).CloseNow()
		}
		w.get(here, wire.Path, http.StatusTooManyRequests, "one after the other", upgrade...)
		w.connect(there, nil).CloseNow()
	})
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, Options{Limits: limits.Limits{AddressRequests: 1}}) // ten at once
		for range 10 {
			w.get(here, PathHealth, http.StatusOK, "ok")
		}
		w.get(here, PathDescriptor, http.StatusTooManyRequests, "too many requests")
		w.get(there, PathHealth, http.StatusOK, "ok")
		time.Sleep(time.Second)
		w.get(here, PathDescriptor, http.StatusOK, "")
	})
}

// A connection that is over a bound is answered with which one, whatever it asks for.
func TestRefusedConnectionsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, Options{Limits: limits.Limits{PerAddress: 1}})
		ws := w.connect(here, nil)
		w.get(here, PathHealth, http.StatusTooManyRequests, "your address has 1 connections")
		w.get(there, PathHealth, http.StatusOK, "ok")
		ws.CloseNow()
		synctest.Wait()
		w.get(here, PathHealth, http.StatusOK, "ok")
	})
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, Options{Limits: limits.Limits{Unproven: 1}})
		ws := w.connect(here, nil)
		w.get(there, PathHealth, http.StatusServiceUnavailable, "not said yet who they are")
		ws.CloseNow()
	})
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, Options{Limits: limits.Limits{Handshakes: 1}})
		for range 20 {
			w.get(here, PathHealth, http.StatusOK, "ok")
		}
		w.get(here, PathHealth, http.StatusTooManyRequests, "one after the other")
	})
}

// Behind a proxy the clients that it names are counted, each by its own bounds. What anybody else names does not count.
func TestClientsOfAProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, Options{Sources: quota.Sources{Proxies: []netip.Prefix{netip.MustParsePrefix(proxy + "/32")}}, Limits: limits.Limits{PerAddress: 1}})
		ws := w.connect(proxy, http.Header{"X-Forwarded-For": {here}})
		w.get(proxy, PathHealth, http.StatusTooManyRequests, "your address has 1 connections", "X-Forwarded-For", here)
		w.get(here, PathHealth, http.StatusTooManyRequests, "your address has 1 connections", "X-Forwarded-For", there)
		w.get(proxy, PathHealth, http.StatusOK, "ok", "X-Forwarded-For", there)
		ws.CloseNow()
	})
}

// The reference's dialects are served where the operator allows them, to those who may use the node, while there is room.
func TestReferenceDialects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, Options{})
		w.get(here, PathPlain+"?runtimeURL=runtime://example.com/r", http.StatusForbidden, "set legacy")
		w.get(here, PathSession, http.StatusForbidden, "set legacy")
	})
	synctest.Test(t, func(t *testing.T) {
		policy, err := admission.New("example.com", admission.Rules{Visitors: admission.Listed}, admission.KeyFile{})
		if err != nil {
			t.Fatal(err)
		}
		w := begin(t, Options{Legacy: true, Invites: &invites.Invites{Policy: policy, Log: hclog.NewNullLogger()}})
		w.get(here, PathPlain, http.StatusForbidden, "runtimeURL: ")
		w.get(here, PathPlain+"?runtimeURL=hyperty://example.com/x", http.StatusForbidden, "is not a runtime")
		w.get(here, PathPlain+"?runtimeURL=runtime://other.org/r", http.StatusForbidden, "admit.visitors")
		w.get(here, PathPlain+"?runtimeURL=runtime://example.com/r", http.StatusServiceUnavailable, "in the reference's dialects")
		w.get(here, PathSession, http.StatusServiceUnavailable, "in the reference's dialects")
		if n := w.o.Conns.Len(); n != 0 {
			t.Errorf("%d connections", n)
		}
	})
}

// The descriptor names the URL that the operator has set, or else the one that it was asked at. Whether that is encrypted, a
// proxy's header says only where a proxy may end TLS.
func TestDescriptor(t *testing.T) {
	for name, c := range map[string]struct {
		o         Options
		forwarded string
		want      string
	}{
		"plain":                   {Options{}, "", "ws://node.example.com" + wire.Path},
		"plain, says anybody":     {Options{}, "https", "ws://node.example.com" + wire.Path},
		"TLS":                     {Options{TLS: &tls.Config{}}, "", "wss://node.example.com" + wire.Path},
		"a proxy's TLS":           {Options{Insecure: true}, "https", "wss://node.example.com" + wire.Path},
		"a proxy without TLS":     {Options{Insecure: true}, "http", "ws://node.example.com" + wire.Path},
		"what the operator named": {Options{PublicURL: "wss://public.example/x", Insecure: true}, "http", "wss://public.example/x"},
	} {
		q, r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://node.example.com"+PathDescriptor, nil), httptest.NewRecorder()
		q.Header.Set("X-Forwarded-Proto", c.forwarded)
		New(c.o).descriptor(r, q)
		var d struct{ Configuration struct{ URL string } }
		if err := json.Unmarshal(r.Body.Bytes(), &d); err != nil || d.Configuration.URL != c.want {
			t.Errorf("%s: %s, %v; want %s", name, r.Body, err, c.want)
		}
	}
}

// The health page says whether the node is well: 503 where nothing can be passed on, and 200 where only nothing can be written.
func TestHealth(t *testing.T) {
	for name, c := range map[string]struct {
		connected bool
		writes    *writes.Writes
		status    int
		text      string
	}{
		"well":               {true, &writes.Writes{}, http.StatusOK, "ok"},
		"without NATS":       {false, &writes.Writes{}, http.StatusServiceUnavailable, "no connection to NATS"},
		"with a full disk":   {true, &writes.Writes{Folder: t.TempDir(), MinFree: 1 << 62}, http.StatusOK, "the disk is full: nothing new is written"},
		"with room to write": {true, &writes.Writes{Folder: t.TempDir(), MinFree: 1}, http.StatusOK, "ok"},
	} {
		s := New(Options{Domain: "example.com", Connected: func() bool { return c.connected }, Writes: c.writes, Conns: conn.NewSet(t.Context(), conn.Options{}), Router: &routing.Router{}})
		r := httptest.NewRecorder()
		s.health(r, nil)
		var page struct {
			Status, Domain string
			Connections    int
		}
		if err := json.Unmarshal(r.Body.Bytes(), &page); err != nil || r.Code != c.status || page.Status != c.text || page.Domain != "example.com" {
			t.Errorf("%s: %d %s, %v", name, r.Code, r.Body, err)
		}
	}
}

// A request that came by no connection of the listener is not served: nobody has counted it.
func TestUncountedRequests(t *testing.T) {
	s := New(Options{})
	q, r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, PathHealth, nil), httptest.NewRecorder()
	s.bounded(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it is served") })).ServeHTTP(r, q)
	if r.Code != http.StatusInternalServerError {
		t.Errorf("%d", r.Code)
	}
}

// broken is a listener that fails.
type broken struct{ net.Listener }

var errBroken = errors.New("broken")

func (broken) Accept() (net.Conn, error) { return nil, errBroken }

func (broken) Close() error { return nil }

// Serve ends with its context, and with its connections; what it ends with before is its error.
func TestServeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, Options{})
		l, p := counted(limits.Limits{}, quota.Sources{}, false)
		o := w.o
		o.Listener = l
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error)
		go func() { served <- New(o).Serve(ctx) }()
		silent := p.dial(here)
		synctest.Wait()
		cancel()
		if err := <-served; err != nil || ended(t, silent) > 0 {
			t.Errorf("it has ended with %v", err)
		}
		held(t, l, 0, 0)
		l.Listener = broken{}
		if err := New(o).Serve(t.Context()); !errors.Is(err, errBroken) {
			t.Errorf("with a listener that fails it has ended with %v", err)
		}
	})
}
