package main

import (
	"context"
	"net/http"
	"sync"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/internal/cheat"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// ServeHTTP serves one stub.
func (r *relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.serving.Add(1)
	defer r.serving.Done()
	ctx, cancel := context.WithCancel(r.life)
	defer cancel()
	node, _, err := websocket.Dial(ctx, r.node, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer node.CloseNow()
	stub, err := websocket.Accept(w, req, &websocket.AcceptOptions{Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		return
	}
	defer stub.CloseNow()
	node.SetReadLimit(2 * wire.MaxPacket)
	stub.SetReadLimit(2 * wire.MaxPacket)
	c := &conn{r: r, stub: stub, node: node, ways: map[message.URL]*cheat.Way{}}
	var both sync.WaitGroup
	both.Go(func() { defer cancel(); c.up(ctx) })
	both.Go(func() { defer cancel(); c.down(ctx) })
	both.Wait()
	r.forget(c)
}

// up carries what the stub sends to the node, and learns its runtime.
func (c *conn) up(ctx context.Context) {
	for {
		kind, packet, err := c.stub.Read(ctx)
		if err != nil {
			return
		}
		c.r.Saw(packet)
		if c.runtime == "" {
			c.learn(packet)
		}
		if c.node.Write(ctx, kind, packet) != nil {
			return
		}
	}
}

// down carries what the node says to the stub, and cheats.
func (c *conn) down(ctx context.Context) {
	for {
		kind, packet, err := c.node.Read(ctx)
		if err != nil {
			return
		}
		c.r.Saw(packet)
		for _, out := range c.packets(ctx, packet) {
			if c.stub.Write(ctx, kind, out) != nil {
				return
			}
		}
	}
}

// packets is what the stub gets instead of a packet.
func (c *conn) packets(ctx context.Context, packet []byte) (list [][]byte) {
	self := c.self()
	var out []byte
	for len(packet) > 0 {
		kind, body, rest, err := wire.Next(packet)
		if err != nil {
			return append(list, packet) // the stub decides about it
		}
		packet = rest
		switch kind {
		case wire.KindData:
			out = c.data(ctx, out, body)
		case wire.KindMessage:
			out = c.message(out, body)
		default:
			out = wire.Append(out, kind, body)
		}
		if len(out) >= wire.PacketGoal {
			list, out = append(list, out), nil
		}
	}
	if self != "" && c.r.Now() {
		out = c.forge(out)
	}
	if len(out) > 0 {
		list = append(list, out)
	}
	return list
}
