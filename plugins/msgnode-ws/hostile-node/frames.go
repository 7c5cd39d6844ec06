package main

import (
	"bytes"
	"context"

	"github.com/protofly/protofly/internal/cheat"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// data appends what the stub gets instead of a Data frame.
func (c *conn) data(ctx context.Context, out, body []byte) []byte {
	text, payloads, err := wire.ParseData(body)
	if err != nil {
		return wire.Append(out, wire.KindData, body)
	}
	peer := message.URL(text)
	way := c.ways[peer]
	if way == nil {
		way = c.r.Way()
		c.ways[peer] = way
	}
	for p := range payloads.All() {
		if c.r.takeSham(ctx, peer, p) {
			continue
		}
		for _, carried := range c.carry(ctx, way, peer, p) {
			out = wire.AppendData(out, peer, carried)
		}
	}
	return out
}

// carry returns the payloads that the stub gets instead of one from peer; it may give others payloads too.
func (c *conn) carry(ctx context.Context, way *cheat.Way, peer message.URL, p []byte) [][]byte {
	if !c.r.Now() || c.r.IntN(4) > 0 {
		return way.Pass(p)
	}
	switch c.r.IntN(3) {
	case 0: // back to its sender, as if the other had sent it
		if back := c.r.of(peer); back != nil {
			c.r.Count("reflect")
			back.give(ctx, c.self(), bytes.Clone(p))
		}
	case 1: // it is said to be from somebody else
		from := c.r.accomplice
		if from == "" || c.r.IntN(2) == 0 {
			from = c.self()
		}
		c.r.Count("wrong peer")
		c.give(ctx, from, bytes.Clone(p))
	case 2:
		c.pretend(ctx, peer, p)
	}
	return [][]byte{p}
}
