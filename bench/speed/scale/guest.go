package scale

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/protofly/protofly/bench/speed/load"
	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// guest is a member that a Message Node sees as a runtime: it has proved its key and talks with the node's functions.
type guest struct {
	crowd *crowd
	id    *identity.Identity
	stub  message.URL
	bus   *minibus.MiniBus // messages to other addresses go to the node
	live  chan struct{}
	once  sync.Once

	next    atomic.Uint64 // the number of the next publication
	trouble atomic.Uint64 // publications that were lost, doubled or out of order
}

func (c *crowd) newGuest() (*guest, error) {
	id, err := c.newIdentity()
	if err != nil {
		return nil, err
	}
	g := &guest{crowd: c, id: id, stub: nodeStub(id.URL(), c.Domain), live: make(chan struct{})}
	g.bus = minibus.New(minibus.Options{Out: g.out})
	id.Serve(signing{g.bus}, func(u message.URL) (identity.Stub, bool) {
		return identity.Stub{Role: sdk.RoleNode, Domain: c.Domain}, u == g.stub
	})
	return g, nil
}

// signing is a guest's bus, at which only its own stub asks for signatures.
type signing struct{ *minibus.MiniBus }

// Reply gives the stub its signature.
func (s signing) Reply(m message.Message) { _ = s.Post(context.Background(), m) } // the stub asks again

func (g *guest) out(ctx context.Context, m message.Message) error {
	return g.crowd.host.Post(ctx, g.stub, m)
}

func (g *guest) begin(ctx context.Context) error { return g.crowd.deployNode(ctx, g.id.URL()) }

func (g *guest) joined() <-chan struct{} { return g.live }

func (g *guest) message(ctx context.Context, stub message.URL, m message.Message) {
	if live(stub, &m) {
		g.once.Do(func() { close(g.live) })
	}
	g.bus.Deliver(ctx, m)
}

// frames drops all frames: a guest has no sessions.
func (g *guest) frames(context.Context, message.URL, message.URL, []sdk.Frame) {}

func (g *guest) close(context.Context) { g.bus.Close() }

// ask sends a request to one of the node's functions.
func (g *guest) ask(ctx context.Context, typ message.Type, to message.URL, body any) (json.RawMessage, error) {
	m, err := g.bus.Request(ctx, message.Message{Type: typ, From: g.id.URL().Join("registry"), To: to, Body: message.Encode(body)})
	if err != nil {
		return nil, err
	}
	return m.OK()
}

// object asks the node for an address of a data object.
func (g *guest) object(ctx context.Context) (message.URL, error) {
	value, err := g.ask(ctx, message.Create, message.AllocationAddress(g.crowd.Domain),
		map[string]any{"scheme": "comm", "value": map[string]int{"number": 1}})
	if err != nil {
		return "", fmt.Errorf("an address for an object: %w", err)
	}
	var given struct {
		Allocated []message.URL `json:"allocated"`
	}
	if err := json.Unmarshal(value, &given); err != nil || len(given.Allocated) != 1 {
		return "", fmt.Errorf("an address for an object: the node answered %.200s: %w", value, err)
	}
	return given.Allocated[0], nil
}

// observe subscribes to the object's changes; took is called for each that comes.
func (g *guest) observe(ctx context.Context, object message.URL, took func(number uint64)) error {
	changes := object.Join("changes")
	g.bus.Listen(changes, func(_ context.Context, m message.Message) { took(g.take(m.Body)) })
	_, err := g.ask(ctx, message.Subscribe, message.SubscriptionAddress(g.crowd.Domain), map[string]message.URLs{"resources": {changes}})
	return err
}

// take checks a publication: it has to be the next one.
func (g *guest) take(body []byte) (number uint64) {
	kind, number, err := change(body)
	if err != nil || kind != load.Data || !g.next.CompareAndSwap(number, number+1) {
		g.trouble.Add(1)
	}
	return number
}

// The parts around the text in a change's body. The body is not parsed as JSON, which would be most of an observer's work.
const (
	changeHead = `{"value":`
	changeTail = `}`
)

// publish sends a change of the object.
func (g *guest) publish(ctx context.Context, object message.URL, number uint64, size int) error {
	return g.bus.Post(ctx, message.Message{Type: message.Update, From: object, To: object.Join("changes"), Body: changeBody(number, size)})
}

func changeBody(number uint64, size int) []byte {
	return slices.Concat([]byte(changeHead), load.Text(load.Data, number, size), []byte(changeTail))
}

// change reads the body of a change.
func change(body []byte) (kind byte, number uint64, err error) {
	text, begins := bytes.CutPrefix(body, []byte(changeHead))
	text, ends := bytes.CutSuffix(text, []byte(changeTail))
	if !begins || !ends {
		return 0, 0, fmt.Errorf("a change of %d bytes is none of those that were published", len(body))
	}
	return load.Parse(text)
}
