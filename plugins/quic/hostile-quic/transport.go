package main

import (
	"context"

	"github.com/protofly/protofly/internal/cheat"
	"github.com/protofly/protofly/sdk/p2p"
)

// hostile is a transport whose channels alter frames.
type hostile struct {
	p2p.Transport
	c *cheat.Cheat
}

func (t hostile) Connect(ctx context.Context, peer p2p.Peer, s p2p.Signals) (p2p.Channel, error) {
	honest, err := t.Transport.Connect(ctx, peer, signals{s, t.c})
	if err != nil {
		return nil, err
	}
	return &channel{Channel: honest, c: t.c, out: t.c.Way(), in: t.c.Way()}, nil
}

// channel alters frames in both directions.
type channel struct {
	p2p.Channel
	c       *cheat.Cheat
	out, in *cheat.Way
	late    [][]byte // further frames in place of one that arrived; used by Recv alone
}

func (c *channel) Send(ctx context.Context, frames ...[]byte) error {
	var list [][]byte
	for _, f := range frames {
		c.c.Saw(f)
		list = append(list, c.out.Pass(f)...)
	}
	if len(list) == 0 {
		return nil
	}
	return c.Channel.Send(ctx, list...)
}

func (c *channel) Recv(ctx context.Context) ([]byte, error) {
	for len(c.late) == 0 {
		f, err := c.Channel.Recv(ctx)
		if err != nil {
			return nil, err
		}
		c.c.Saw(f)
		c.late = c.in.Pass(f)
	}
	f := c.late[0]
	c.late = c.late[1:]
	return f, nil
}
