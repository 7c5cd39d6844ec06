package web

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/conn"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/limits"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/protofly"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/rates"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/writes"
)

// Network addresses of clients.
const (
	here  = "192.0.2.1"
	there = "192.0.2.2"
	proxy = "10.0.0.1"
)

// pipes is a listener of connections in memory. Whoever makes one says from where it is.
type pipes struct {
	waiting chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func newPipes() *pipes {
	return &pipes{waiting: make(chan net.Conn, 1000), closed: make(chan struct{})}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.waiting:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return at(here) }

// dial makes a connection from an address.
func (p *pipes) dial(from string) net.Conn {
	client, node := net.Pipe()
	p.waiting <- remote{node, at(from)}
	return client
}

// at is a port of an address.
func at(ip string) net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(ip), 1000))
}

// remote is a connection from an address.
type remote struct {
	net.Conn
	from net.Addr
}

func (r remote) RemoteAddr() net.Addr { return r.from }

// counted is a listener of pipes that counts them by limits; zeros are defaults.
func counted(l limits.Limits, s quota.Sources, tls bool) (*Listener, *pipes) {
	l, p := l.WithDefaults(), newPipes()
	return NewListener(p, s, rates.New(l), l, tls), p
}

// accept is the next connection.
func accept(t *testing.T, l *Listener) *netConn {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return c.(*netConn)
}

// held checks how many connections wait and are attached.
func held(t *testing.T, l *Listener, waiting, attached int) {
	t.Helper()
	if w, a := l.Held(); w != waiting || a != attached {
		t.Errorf("%d wait and %d are attached, want %d and %d", w, a, waiting, attached)
	}
}

// world is the HTTP server of a node that listens at pipes, and has no NATS.
type world struct {
	*Server
	t     *testing.T
	pipes *pipes
}

// begin serves until the test ends. Limits and times that are not set in o are defaults.
func begin(t *testing.T, o Options) *world {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	o.Context, o.Domain, o.Log = ctx, "example.com", hclog.NewNullLogger()
	o.Limits, o.Times = o.Limits.WithDefaults(), o.Times.WithDefaults()
	w := &world{t: t, pipes: newPipes()}
	o.Rates = rates.New(o.Limits)
	o.Listener = NewListener(w.pipes, o.Sources, o.Rates, o.Limits, false)
	o.Conns = conn.NewSet(ctx, conn.Options{Queue: o.Limits.Queue, Write: o.Times.Write, Ping: o.Times.Ping, Log: o.Log})
	o.Router = &routing.Router{Roster: &routing.Roster{}} // which has no room for the reference's dialects
	o.Router.Use(state.InMemory(o.Domain), nil)
	o.Binary = protofly.New(protofly.Options{Domain: o.Domain, Times: o.Times, Limits: o.Limits, Rates: o.Rates, Router: o.Router, Log: o.Log})
	if o.Writes == nil {
		o.Writes = &writes.Writes{}
	}
	if o.Connected == nil {
		o.Connected = func() bool { return true }
	}
	w.Server = New(o)
	served := make(chan error, 1)
	go func() { served <- w.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		o.Conns.Close()
	})
	return w
}

// client is one whose connections are from an address: each request makes one of its own.
func (w *world) client(from string) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return w.pipes.dial(from), nil }}}
}

// get asks for a page, with headers in pairs, and checks the answer; a part of its text is enough. A refusal 429 or 503 has to say when to
// come again, and end the connection.
func (w *world) get(from, path string, status int, text string, headers ...string) *http.Response {
	w.t.Helper()
	q, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://node.example.com"+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		q.Header.Set(headers[i], headers[i+1])
	}
	r, err := w.client(from).Do(q)
	if err != nil {
		w.t.Fatalf("%s from %s: %v", path, from, err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if r.StatusCode != status || !strings.Contains(string(body), text) {
		w.t.Fatalf("%s from %s: %s, %s; want %d with %q", path, from, r.Status, body, status, text)
	}
	if later := status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable; later && path != PathHealth {
		if r.Header.Get("Retry-After") == "" || !r.Close {
			w.t.Errorf("%s from %s: refused without a time to come again, or the connection stays: %v", path, from, r.Header)
		}
	}
	return r
}
