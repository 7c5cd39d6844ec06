package node

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

// run has the client pinged from now on. What began with it and with send, end stops and waits for.
func (c *conn) run() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pinger = time.AfterFunc(c.node.opts.Times.Ping, c.ping)
}

// send queues a packet that the node itself made; see push.
func (c *conn) send(data []byte) {
	p := outbox.Packet{Data: data}
	c.node.memory.Keep(p)
	c.push(p, false)
}

// push queues a packet of messages, which memory has counted, and never blocks: a connection whose queue is full is closed,
// so that no loss goes unseen. What is uninvited is dropped where much waits.
func (c *conn) push(p outbox.Packet, uninvited bool) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		c.node.memory.Release(p)
		return
	}
	dropped, ok := c.out.PutMessage(p, uninvited, c.node.opts.Limits.Queue)
	if !ok {
		dropped = append(dropped, p)
	}
	c.queued(dropped)
	if !ok && !uninvited {
		c.kick(websocket.StatusTryAgainLater, fmt.Sprintf("too slow: more than %d bytes wait for you", c.node.opts.Limits.Queue))
	}
}

// pushData queues Data of a runtime and never blocks. Where there is no room, Data of whoever has the most is dropped.
func (c *conn) pushData(from []byte, known bool, data []byte) {
	p := outbox.Packet{Data: data}
	c.node.memory.Keep(p)
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		c.node.memory.Release(p)
		return
	}
	c.queued(c.out.PutData(from, known, p, c.node.opts.Limits.Queue))
}

// queued unlocks c.mu, gives back what was dropped, and wakes the writer.
func (c *conn) queued(dropped []outbox.Packet) {
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
		c.node.memory.Release(dropped...)
		c.node.log.Warn("a connection does not keep up, data for it was dropped", "runtime", c.whose(), "packets", len(dropped))
	}
	if c.node.memory.Over() {
		c.node.relieve()
	}
}

// sendMessage queues a message that the node itself made.
func (c *conn) sendMessage(m message.Message) { c.send(wire.AppendMessage(nil, &m)) }

// writerIdle is how long a writer with nothing to write waits, twice that at most: a connection with nothing to say costs
// neither a goroutine's stack nor a buffer.
const writerIdle = time.Second

// write is the writer: it sends what has been queued, many small packets as one.
func (c *conn) write() {
	var joined []byte
	look := time.NewTicker(writerIdle)
	defer look.Stop()
	for idle := false; ; {
		select {
		case <-c.ctx.Done():
			return
		case <-look.C:
			if idle && c.rest() {
				return
			}
			idle = true
			continue
		case <-c.wake:
			idle = false
		}
		for {
			var err error
			packets := c.take()
			if len(packets) == 0 {
				break
			}
			if c.dialect != binary {
				err = c.writeJSON(packets[0].Data)
			} else {
				joined = joined[:0]
				for _, p := range packets {
					joined = append(joined, p.Data...)
				}
				c.node.opts.trace().PacketWentOut(c.whose(), joined) // before: its receiver may be quicker than this goroutine
				err = c.writePacket(websocket.MessageBinary, joined)
			}
			if err != nil {
				c.lost(err)
				return
			}
			c.written()
		}
		if cap(joined) > 4*wire.PacketGoal {
			joined = nil // one large packet is no reason to keep the memory
		}
	}
}

// take is what is written next, as one.
func (c *conn) take() []outbox.Packet {
	goal := 0
	if c.dialect == binary {
		goal = wire.PacketGoal
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = c.out.Next(c.writing[:0], goal)
	return c.writing
}

// rest ends the writer, unless there is something to write.
func (c *conn) rest() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writes = c.out.Waiting() > 0; !c.writes {
		c.out, c.writing = outbox.Outbox{}, nil
	}
	return !c.writes
}

// written gives the room of what has been written back.
func (c *conn) written() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.node.memory.Release(c.writing...) // nothing, if it was forfeited
	clear(c.writing)
	c.writing = c.writing[:0]
}

// writePacket writes one WebSocket message, within the time that a write has.
func (c *conn) writePacket(t websocket.MessageType, packet []byte) error {
	ctx, cancel := context.WithTimeout(c.ctx, c.node.opts.Times.Write)
	defer cancel()
	return c.ws.Write(ctx, t, packet)
}

// writeJSON writes the messages of a packet as JSON texts. Data frames are never sent to a JSON connection.
func (c *conn) writeJSON(packet []byte) error {
	for len(packet) > 0 {
		kind, body, rest, err := wire.Next(packet)
		if err != nil {
			return err
		}
		packet = rest
		if kind == kindText {
			if err := c.writePacket(websocket.MessageText, asText(body)); err != nil {
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
		c.node.opts.trace().WentOut(c.whose(), &m)
		if err := c.writePacket(websocket.MessageText, asText(text)); err != nil {
			return err
		}
	}
	return nil
}

// asText is what may be sent as text: for anything but UTF-8 a browser closes its connection. Other nodes and earlier
// entries of the state may have brought that; in JSON it can only be inside of strings.
func asText(text []byte) []byte {
	if utf8.Valid(text) {
		return text
	}
	return bytes.ToValidUTF8(text, []byte("\uFFFD"))
}

// ping notices a client that has gone without a word. It is the timer's function, which it sets again.
func (c *conn) ping() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.wg.Add(1) // under the lock that end takes before it waits
	c.mu.Unlock()
	defer c.wg.Done()
	ctx, cancel := context.WithTimeout(c.ctx, c.node.opts.Times.Ping)
	err := c.ws.Ping(ctx)
	cancel()
	if err != nil {
		c.lost(fmt.Errorf("no answer to a ping: %w", err))
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.pinger.Reset(c.node.opts.Times.Ping)
	}
}

// kindText is a frame that only exists in the queue of a JSON connection: a text that is written as it is.
const kindText wire.Kind = 0xff
