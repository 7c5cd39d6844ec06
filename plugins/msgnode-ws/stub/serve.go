package stub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// link is one connection to the node, from its welcome to its loss.
type link struct {
	*instance
	ws   *websocket.Conn
	io   context.Context // for reads and writes: its end cuts the connection
	busy atomic.Bool     // the reader waits for the core, not for the node
}

// closeTime is how long a node has to answer a close.
const closeTime = time.Second

// serve carries messages and frames both ways until the connection is lost or ctx ends. The error is why it was lost.
func (i *instance) serve(parent context.Context, ws *websocket.Conn) error {
	ctx, cancel := context.WithCancelCause(parent)
	io, cut := context.WithCancel(context.WithoutCancel(parent))
	l := &link{instance: i, ws: ws, io: io}
	i.out.up()
	var wg sync.WaitGroup
	wg.Go(func() { cancel(l.read(ctx)) })
	wg.Go(func() { cancel(l.sendMessages(ctx)) })
	wg.Go(func() { cancel(l.sendFrames(ctx)) })
	wg.Go(func() { cancel(l.ping(ctx)) })
	<-ctx.Done()
	if parent.Err() != nil { // an orderly end: the node gets a close
		timer := time.AfterFunc(closeTime, cut)
		ws.Close(websocket.StatusNormalClosure, "")
		timer.Stop()
	}
	cut()
	ws.CloseNow()
	wg.Wait()
	return context.Cause(ctx)
}

// read takes what comes from the node.
func (l *link) read(ctx context.Context) error {
	for {
		kind, packet, err := l.ws.Read(l.io)
		if err != nil {
			return fmt.Errorf("connection lost: %w", err)
		}
		if kind != websocket.MessageBinary {
			return errors.New("the node sent a text")
		}
		l.busy.Store(true)
		err = l.frames(ctx, packet)
		l.busy.Store(false)
		if err != nil {
			return err
		}
	}
}

// handOver is how many payloads are handed to the core at once: a payload of one byte takes 40 here, and a packet has room
// for a million that are empty.
const handOver = 1024

// frames hands the frames of a packet over. It blocks while the core is behind.
func (i *instance) frames(ctx context.Context, packet []byte) error {
	var data []sdk.Frame
	for len(packet) > 0 {
		kind, body, rest, err := wire.Next(packet)
		if err != nil {
			return err
		}
		packet = rest
		switch kind {
		case wire.KindData:
			text, payloads, err := wire.ParseData(body)
			if err != nil {
				return err
			}
			peer, err := message.ParseURL(string(text))
			if err != nil {
				return err
			}
			for p := range payloads.All() {
				if data = append(data, sdk.Frame{Peer: peer, Payload: p}); len(data) == handOver {
					if err := i.door.Send(ctx, data...); err != nil {
						return err
					}
					data = data[:0]
				}
			}
		case wire.KindMessage:
			m, err := wire.ParseMessage(body)
			if err != nil {
				i.start.Log.Warn("the node sent a malformed message", "error", err)
				continue
			}
			i.incoming(ctx, m)
		case wire.KindUnreachable:
			i.away(ctx, body)
		case wire.KindRefused:
			var refused wire.Refused
			if wire.ParseHandshake(body, &refused) == nil {
				i.start.Log.Warn("the node dropped something", "error", refused.Error())
			}
		}
	}
	if len(data) == 0 {
		return nil
	}
	return i.door.Send(ctx, data...)
}

// incoming posts a message from the node.
func (i *instance) incoming(ctx context.Context, m message.Message) {
	if m.Crossed(i.start.URL) || len(m.Via) >= message.MaxVia {
		i.start.Log.Debug("a message that went in a circle is dropped", "from", m.From, "to", m.To)
		return
	}
	i.post(ctx, m.Through(i.start.URL))
}

// away reports to the core that a runtime is not connected to the node.
func (i *instance) away(ctx context.Context, body []byte) {
	peer, err := wire.ParseUnreachable(body)
	if err != nil || time.Since(i.told[peer]) < time.Second {
		return
	}
	if len(i.told) > 1024 {
		clear(i.told)
	}
	i.told[peer] = time.Now()
	i.start.Log.Debug("not connected to the node", "runtime", peer)
	i.post(ctx, message.Message{Type: message.Update, From: i.start.URL, To: i.start.URL.Join("unreachable"),
		Body: message.Encode(map[string]message.URL{"value": peer})})
}

// sendMessages writes what waits in the outbox, many small messages as one packet.
func (l *link) sendMessages(ctx context.Context) error {
	var packet []byte
	l.out.poke() // what waited for this connection
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.out.wake:
		}
		list := l.out.take()
		for len(list) > 0 {
			n := 0
			for packet = packet[:0]; n < len(list) && len(packet) < wire.PacketGoal; n++ {
				packet = wire.AppendMessage(packet, &list[n])
			}
			if err := l.ws.Write(l.io, websocket.MessageBinary, packet); err != nil {
				for _, m := range list { // the requester need not wait for an answer that cannot come
					l.refuse(context.WithoutCancel(ctx), m, message.CodeUnavailable, l.unreachable(err))
				}
				return fmt.Errorf("connection lost: %w", err)
			}
			list = list[n:]
		}
		packet = shrink(packet)
	}
}

// sendFrames writes what comes through the door, everything that is there as one packet, and payloads for one peer as
// one frame.
func (l *link) sendFrames(ctx context.Context) error {
	var packet []byte
	var payloads [][]byte
	for {
		frames, err := l.door.Recv(ctx)
		if err != nil {
			return fmt.Errorf("the door: %w", err)
		}
		packet = packet[:0]
		for len(frames) > 0 {
			peer, size := frames[0].Peer, 0
			payloads = payloads[:0]
			for len(frames) > 0 && frames[0].Peer == peer && (size == 0 || size+len(frames[0].Payload) < wire.PacketGoal) {
				if len(frames[0].Payload) <= wire.MaxPayload {
					payloads = append(payloads, frames[0].Payload)
					size += wire.DataSize(len(frames[0].Payload))
				}
				frames = frames[1:]
			}
			if len(packet) > 0 && len(packet)+size > wire.PacketGoal {
				if err := l.ws.Write(l.io, websocket.MessageBinary, packet); err != nil {
					return fmt.Errorf("connection lost: %w", err)
				}
				packet = packet[:0]
			}
			if len(payloads) > 0 {
				packet = wire.AppendData(packet, peer, payloads...)
			}
		}
		if len(packet) > 0 {
			if err := l.ws.Write(l.io, websocket.MessageBinary, packet); err != nil {
				return fmt.Errorf("connection lost: %w", err)
			}
		}
		packet = shrink(packet)
	}
}

// shrink frees memory that one large packet needed.
func shrink(b []byte) []byte {
	if cap(b) > 4*wire.PacketGoal {
		return nil
	}
	return b
}

// ping notices a node that has gone without a close. While the reader waits for the core no pong can be seen, and its
// absence means nothing.
func (l *link) ping(ctx context.Context) error {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if l.busy.Load() {
			continue
		}
		bounded, cancel := context.WithTimeout(ctx, pingTime)
		err := l.ws.Ping(bounded)
		cancel()
		if err != nil && !l.busy.Load() && ctx.Err() == nil {
			return fmt.Errorf("the node does not answer (for %v): %w", pingTime, err)
		}
	}
}
