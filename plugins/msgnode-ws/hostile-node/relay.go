package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"sync"

	"github.com/coder/websocket"
	"github.com/flynn/noise"

	"github.com/protofly/protofly/internal/cheat"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// relay is the man in the middle. It implements http.Handler.
type relay struct {
	*cheat.Cheat
	node       string
	accomplice message.URL
	key        ed25519.PrivateKey // its own; no runtime's address is derived from it
	static     noise.DHKey

	life    context.Context
	end     context.CancelFunc
	serving sync.WaitGroup

	mu      sync.Mutex
	conns   map[message.URL]*conn        // by runtime
	shams   map[uint64]*sham             // handshakes as somebody else, by their incarnation
	entries []map[string]json.RawMessage // some of the Domain Registry's
}

const maxEntries = 64

// conn is a stub's connection and the one that it is carried on to the node.
type conn struct {
	r          *relay
	stub, node *websocket.Conn
	runtime    message.URL // set by up, guarded by relay.mu

	ways map[message.URL]*cheat.Way // by the sender: down's own
}

func newRelay(c *cheat.Cheat, node string, accomplice message.URL) (*relay, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	static, err := noise.DH25519.GenerateKeypair(nil)
	if err != nil {
		return nil, err
	}
	r := &relay{Cheat: c, node: node, accomplice: accomplice, key: key, static: static, conns: map[message.URL]*conn{}, shams: map[uint64]*sham{}}
	r.life, r.end = context.WithCancel(context.Background())
	return r, nil
}

func (r *relay) wait() { r.serving.Wait() }

// learn looks for the proof of the stub's runtime.
func (c *conn) learn(packet []byte) {
	for len(packet) > 0 {
		kind, body, rest, err := wire.Next(packet)
		if err != nil {
			return
		}
		packet = rest
		var p wire.Proof
		if kind == wire.KindProof && wire.ParseHandshake(body, &p) == nil {
			c.r.mu.Lock()
			c.runtime = p.Runtime.Canonical()
			c.r.conns[c.runtime] = c
			c.r.mu.Unlock()
		}
	}
}

func (r *relay) forget(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conns[c.runtime] == c {
		delete(r.conns, c.runtime)
	}
}

// self is the runtime of the connection; "" before it has proved it.
func (c *conn) self() message.URL {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	return c.runtime
}

// of returns a runtime's connection, or nil.
func (r *relay) of(runtime message.URL) *conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conns[runtime.Canonical()]
}

// give sends a stub a frame as if it came from the runtime peer.
func (c *conn) give(ctx context.Context, peer message.URL, payload []byte) {
	_ = c.stub.Write(ctx, websocket.MessageBinary, wire.AppendData(nil, peer, payload)) // the attempt may fail
}

// sham is a handshake that was begun in the name of the runtime lower, with the relay's own keys.
type sham struct {
	lower, higher message.URL
	version       byte
	incarnation   uint64
	state         *noise.HandshakeState
}
