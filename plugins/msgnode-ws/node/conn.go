package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/outbox"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/peers"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// Close codes of the node, besides WebSocket's own.
const (
	closeReplaced websocket.StatusCode = 4001
	closeDropped  websocket.StatusCode = 4002
)

// dialect is how a connection's packets are written.
type dialect int

const (
	binary    dialect = iota // protofly.v1
	plainJSON                // reference: plain WebSocket stub
	sessionJSON
)

// conn is one WebSocket connection. An idle one has one goroutine, its reader. A writer runs while there is something to
// write, and a pinger while a pong is awaited; the reader waits for both.
type conn struct {
	node    *Node
	id      uint64
	ws      *websocket.Conn
	dialect dialect
	stamp   string      // orders the connections of one runtime: the greatest is the newest
	runtime message.URL // canonical; set once by the reader, with setRuntime, before the connection is attached

	ctx    context.Context // ends with the connection
	cancel context.CancelFunc
	wg     sync.WaitGroup

	account
	guest   guest // what it may do here
	hasTurn bool  // its reader has the turn to compute; see turn.go

	mu      sync.Mutex
	out     outbox.Outbox   // packets, shared with other connections: never written to
	writing []outbox.Packet // in the writer's hands
	closed  bool            // kicked or ended: nothing is queued any more
	writes  bool            // there is a writer
	pinger  *time.Timer

	wake chan struct{} // capacity 1: the queue is not empty

	routes routes // of this connection; see subscribe.go
	asked  peers.Questions
	peers  *peers.Peers
}

func (n *Node) newConn(k *netConn, from quota.Source, d dialect) *conn {
	id := n.lastConn.Add(1)
	l := n.opts.Limits
	c := &conn{node: n, id: id, dialect: d, wake: make(chan struct{}, 1),
		account: account{from: from, ticket: k.ticket, budget: rate.NewLimiter(rate.Limit(l.Requests), 10*l.Requests),
			told: rate.NewLimiter(1, 1)},
		peers: peers.New(),
		stamp: fmt.Sprintf("%020d.%s.%d", time.Now().UnixNano(), n.id, id)}
	c.ctx, c.cancel = context.WithCancel(n.ctx)
	return c
}

// setRuntime says whose connection it is. Other goroutines than the reader use [conn.whose].
func (c *conn) setRuntime(u message.URL) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runtime = u
}

func (c *conn) whose() message.URL {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.runtime
}

// legacy tells whether the connection has proved nothing of who it is.
func (c *conn) legacy() bool { return c.dialect != binary }

// run has the client pinged from now on. What began with it and with send, end stops and waits for.
func (c *conn) run() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pinger = time.AfterFunc(c.node.opts.Times.Ping, c.ping)
}

func (c *conn) end() {
	c.mu.Lock()
	c.closed = true
	c.dropQueue()
	c.pinger.Stop()
	c.mu.Unlock()
	c.cancel()
	c.ws.CloseNow()
	c.wg.Wait()
	c.forfeit()
}

// dropQueue gives up what waits. c.mu is held.
func (c *conn) dropQueue() {
	c.node.memory.Release(c.out.Empty()...)
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

// kick closes the connection with a code and a reason, without waiting for it. What waited is dropped.
func (c *conn) kick(code websocket.StatusCode, reason string) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	c.dropQueue()
	if c.ws == nil { // accept closes it
		c.mu.Unlock()
		return
	}
	c.wg.Add(1) // under the lock that end takes before it waits
	c.mu.Unlock()
	c.node.log.Info("closing a connection", "runtime", c.whose(), "code", int(code), "reason", reason)
	go func() {
		defer c.wg.Done()
		// The close frame waits behind a write that blocks, up to 5 s; then the connection is cut.
		_ = c.ws.Close(code, strings.ToValidUTF8(reason[:min(len(reason), 120)], ""))
		c.cancel()
	}()
}

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
				c.node.tracePacket(c, joined) // before: its receiver may be quicker than this goroutine
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
		c.node.traceMessage("out", m.From, c.whose(), &m)
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

// lost ends the connection after an error.
func (c *conn) lost(err error) {
	if c.ctx.Err() == nil && !errors.Is(err, context.Canceled) {
		c.node.log.Debug("connection lost", "runtime", c.whose(), "error", err)
	}
	c.cancel()
	c.ws.CloseNow()
}
