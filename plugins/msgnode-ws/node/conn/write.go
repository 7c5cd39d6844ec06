package conn

import (
	"bytes"
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/outbox"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// Send queues a packet that the node itself made; see [Conn.Push].
func (c *Conn) Send(data []byte) {
	p := outbox.Packet{Data: data}
	c.all.Memory.Keep(p)
	c.Push(p, false)
}

// Push queues a packet of messages, which memory has counted, and never blocks: a connection whose queue is full is closed,
// so that no loss goes unnoticed. Where much waits, uninvited messages are dropped.
func (c *Conn) Push(p outbox.Packet, uninvited bool) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		c.all.Memory.Release(p)
		return
	}
	dropped, ok := c.out.PutMessage(p, uninvited, c.all.o.Queue)
	if !ok {
		dropped = append(dropped, p)
	}
	c.queued(dropped)
	if !ok && !uninvited {
		c.Kick(websocket.StatusTryAgainLater, fmt.Sprintf("too slow: more than %d bytes wait for you", c.all.o.Queue))
	}
}

// PushData queues Data of a runtime and never blocks. If there is no room, Data of the sender with the most is dropped.
func (c *Conn) PushData(from []byte, known bool, data []byte) {
	p := outbox.Packet{Data: data}
	c.all.Memory.Keep(p)
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		c.all.Memory.Release(p)
		return
	}
	c.queued(c.out.PutData(from, known, p, c.all.o.Queue))
}

// queued unlocks c.mu, gives back what was dropped, and wakes the writer.
func (c *Conn) queued(dropped []outbox.Packet) {
	if !c.writes {
		c.writes = true
		c.wg.Go(c.write) // under the lock that end takes before it waits
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
	if len(dropped) > 0 {
		c.all.Memory.Release(dropped...)
		c.all.o.Log.Warn("a connection does not keep up, data for it was dropped", "runtime", c.Runtime(), "packets", len(dropped))
	}
	if c.all.Memory.Over() {
		c.all.relieve()
	}
}

// SendMessage queues a message that the node itself made.
func (c *Conn) SendMessage(m message.Message) { c.Send(wire.AppendMessage(nil, &m)) }

// writerIdle is how long a writer with nothing to write waits before it ends, twice that at most: an idle connection then costs
// neither a goroutine's stack nor a buffer.
const writerIdle = time.Second

// write is the writer: it sends what has been queued, many small packets as one.
func (c *Conn) write() {
	var joined []byte
	look := time.NewTicker(writerIdle)
	defer look.Stop()
	for silent := false; ; {
		select {
		case <-c.ctx.Done():
			return
		case <-look.C:
			if silent && c.idle() {
				return
			}
			silent = true
			continue
		case <-c.wake:
			silent = false
		}
		for {
			var err error
			packets := c.take()
			if len(packets) == 0 {
				break
			}
			if c.Dialect != Binary {
				err = c.writeJSON(packets[0].Data)
			} else {
				joined = joined[:0]
				for _, p := range packets {
					joined = append(joined, p.Data...)
				}
				c.all.o.Trace.PacketWentOut(c.Runtime(), joined) // before: its receiver may be quicker than this goroutine
				err = c.Write(websocket.MessageBinary, joined)
			}
			if err != nil {
				c.Lost(err)
				return
			}
			c.written()
		}
		if cap(joined) > 4*wire.PacketGoal {
			joined = nil // do not keep the memory of one large packet
		}
	}
}

// take returns the packets that are written next, as one.
func (c *Conn) take() []outbox.Packet {
	goal := 0
	if c.Dialect == Binary {
		goal = wire.PacketGoal
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = c.out.Next(c.writing[:0], goal)
	return c.writing
}

// idle ends the writer, unless there is something to write.
func (c *Conn) idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writes = c.out.Waiting() > 0; !c.writes {
		c.out, c.writing = outbox.Outbox{}, nil
	}
	return !c.writes
}

// written gives back the room of what has been written.
func (c *Conn) written() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all.Memory.Release(c.writing...) // nothing, if it was forfeited
	clear(c.writing)
	c.writing = c.writing[:0]
}

// Write writes one WebSocket message, within the time that a write has.
func (c *Conn) Write(t websocket.MessageType, packet []byte) error {
	ctx, cancel := context.WithTimeout(c.ctx, c.all.o.Write)
	defer cancel()
	return c.ws.Write(ctx, t, packet)
}

// writeJSON writes the messages of a packet as JSON texts. Data frames are never sent to a JSON connection.
func (c *Conn) writeJSON(packet []byte) error {
	for len(packet) > 0 {
		kind, body, rest, err := wire.Next(packet)
		if err != nil {
			return err
		}
		packet = rest
		if kind == KindText {
			if err := c.Write(websocket.MessageText, asText(body)); err != nil {
				return err
			}
		}
		if kind != wire.KindMessage {
			continue
		}
		m, err := wire.ParseMessage(body)
		if err != nil {
			return err
		}
		text, err := m.MarshalJSON()
		if err != nil {
			return err
		}
		c.all.o.Trace.WentOut(c.Runtime(), &m)
		if err := c.Write(websocket.MessageText, asText(text)); err != nil {
			return err
		}
	}
	return nil
}

// asText makes text valid UTF-8: for anything else a browser closes its connection. Invalid bytes may come from other nodes and
// earlier entries of the state; in JSON they can only be inside of strings.
func asText(text []byte) []byte {
	if utf8.Valid(text) {
		return text
	}
	return bytes.ToValidUTF8(text, []byte("\uFFFD"))
}

// KindText is a frame that only exists in the queue of a JSON connection: a text that is written as it is.
const KindText wire.Kind = 0xff

// Crowded tells whether so many messages wait for the connection that uninvited ones may be dropped.
func (c *Conn) Crowded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Crowded(c.all.o.Queue)
}

// Writing tells whether there is a writer, for tests.
func (c *Conn) Writing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writes
}
