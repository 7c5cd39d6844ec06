package relay

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/conn"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/limits"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/rates"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/rights"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

const (
	domain               = "example.com"
	alice    message.URL = "hyperty-runtime://example.com/alice"
	bob      message.URL = "hyperty-runtime://example.com/bob"
	patience             = 30 * time.Second
)

// places are those of connections, of which there are enough.
type places struct{}

func (places) Enter(*quota.Ticket, bool, func()) bool { return true }

// function is a function of the node that answers everything, and notes what it was asked.
type function struct {
	asked    []message.Message
	computed bool // it was asked while the connection had its turn to compute
	refuse   *refusal.Refusal
	turns    *quota.Turns
}

func (f *function) Answer(_ *routing.Client, m message.Message) (message.Message, *refusal.Refusal) {
	f.asked = append(f.asked, m)
	f.computed, _ = f.turns.State()
	return m.Respond(200, nil), f.refuse
}

// world is a relay with a NATS of its own and functions that only take notes.
type world struct {
	*Relay
	t      *testing.T
	nats   *backbone.NATS
	router *routing.Router
	state  *state.State
	conns  *conn.Set
	rates  *rates.Rates

	allocation, subscriptions, registry function
}

// begin makes a relay with limits.
func begin(t *testing.T, l limits.Limits) *world {
	t.Helper()
	log := hclog.NewNullLogger()
	w := &world{t: t, state: state.InMemory(domain), rates: rates.New(l)}
	var err error
	w.nats, err = backbone.Start(backbone.Options{Domain: domain, Data: t.TempDir(), Log: log, Lost: func(string) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.nats.Close)
	ctx, cancel := context.WithCancel(t.Context())
	w.conns = conn.NewSet(ctx, conn.Options{Queue: l.Queue, Write: patience, Ping: time.Hour, Log: log})
	times := limits.DefaultTimes()
	w.router, err = routing.New(routing.Options{Domain: domain, Node: "1", NATS: w.nats, Conns: w.conns, Places: places{}, Limits: l, Times: times, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	whose := &rights.Rights{Domain: domain, State: w.state, Connected: w.router.Roster.Connected}
	w.router.Use(w.state, whose)
	for _, f := range []*function{&w.allocation, &w.subscriptions, &w.registry} {
		f.turns = &w.rates.Turns
	}
	w.Relay = New(Options{Domain: domain, Rates: w.rates, Rights: whose, Router: w.router, Log: log,
		Allocation: &w.allocation, Subscriptions: &w.subscriptions, Registry: &w.registry})
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		w.router.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ran
	})
	return w
}

// client is a connection at the node, and the stub's end of it.
type client struct {
	*routing.Client
	t    *testing.T
	stub *websocket.Conn
}

// connect makes the connection of a runtime.
func (w *world) connect(runtime message.URL, d conn.Dialect) *client {
	w.t.Helper()
	accepted := make(chan *websocket.Conn, 1)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(rw, r, nil)
		if err != nil {
			w.t.Error(err)
		}
		accepted <- ws
	}))
	defer server.Close()
	stub, _, err := websocket.Dial(w.t.Context(), strings.Replace(server.URL, "http", "ws", 1), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	wc := w.conns.New(quota.Source{}, d)
	wc.Start(<-accepted)
	wc.SetRuntime(runtime)
	c := &client{routing.NewClient(wc, rates.NewSpending(wc.Context(), w.rates, quota.Source{}, wc.ID), &quota.Ticket{}), w.t, stub}
	if err := w.router.Attach(c.Client); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		stub.CloseNow()
		w.router.Detach(c.Client)
		wc.End()
		w.conns.Remove(wc)
	})
	return c
}

// next is the next message that the stub gets.
func (c *client) next() message.Message {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	_, packet, err := c.stub.Read(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.Dialect != conn.Binary {
		var m message.Message
		if err := json.Unmarshal(packet, &m); err != nil {
			c.t.Fatal(err)
		}
		return m
	}
	kind, body, rest, err := wire.Next(packet)
	if err != nil || kind != wire.KindMessage || len(rest) > 0 {
		c.t.Fatalf("frame %d, %d bytes behind it, %v", kind, len(rest), err)
	}
	m, err := wire.ParseMessage(body)
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}

// handle has the relay take a message, whose ID is made of a number, from the connection.
func (w *world) handle(c *client, id uint64, kind message.Type, from, to message.URL, body string) {
	w.Handle(c.Client, message.Message{ID: message.NumberID(id), Type: kind, From: from, To: to, Body: []byte(body)})
}

// wantAnswer checks that the next message is the answer to the request with the number, with a code; text is in its description.
func (c *client) wantAnswer(id uint64, code int, text string) {
	c.t.Helper()
	m := c.next()
	r, err := m.Result()
	if err != nil || m.Type != message.Response || m.ID != message.NumberID(id) || r.Code != code || !strings.Contains(r.Description, text) {
		c.t.Errorf("%s %s from %s: %+v, %v; want the answer %d to %d with %q", m.Type, m.ID, m.From, r, err, code, id, text)
	}
}
