package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/refjson"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

const (
	// drainJSON is how long a JSON text may be for the connection to survive it. What is longer than message.MaxJSON
	// is read away, not kept, and answered 413.
	drainJSON = 16 << 20
	// shortText is up to how many bytes a text is read at once: longer ones are read in turn, since that takes some 40 µs
	// for each KiB.
	shortText = 4 << 10
)

// validator is whom the reference's nodes name as the origin of errors in a message's form.
const validator message.URL = "mn:/validator"

// servePlain is the reader of a plain stub's connection (specification, "Plain WebSocket stub").
func (n *Node) servePlain(c *conn, runtime message.URL) {
	c.setRuntime(runtime)
	if err := n.attach(c); err != nil {
		c.ws.Close(websocket.StatusTryAgainLater, "the node cannot route to you now")
		return
	}
	n.log.Info("connected", "runtime", runtime, "dialect", "plain")
	n.readJSON(c, func(text []byte) {
		var command struct {
			Cmd  string `json:"cmd"`
			Body struct {
				RuntimeURL message.URL `json:"runtimeURL"`
			} `json:"body"`
		}
		if json.Unmarshal(text, &command) == nil && command.Cmd == "disconnect" {
			n.leave(c)
			return
		}
		n.handleJSON(c, text, message.CodeBadRequest)
	})
}

// leave is an orderly end: the runtime's subscriptions do not outlive it.
func (n *Node) leave(c *conn) {
	c.finish() // from here on it waits for the disk
	for key := range n.state.Subscriptions.Find("r:" + string(c.runtime)) {
		if err := n.forget(c.ctx, key); err != nil {
			n.log.Warn("unsubscribe", "runtime", c.runtime, "error", err)
		}
	}
	c.kick(closeDropped, "disconnected as you asked")
}

// readJSON gives each text to f until the connection ends.
func (n *Node) readJSON(c *conn, f func(text []byte)) {
	for {
		c.keepPace()
		if c.runtime == "" { // a session that is not open yet
			c.ws.SetReadLimit(maxUnproven)
		} else {
			c.ws.SetReadLimit(drainJSON)
		}
		kind, r, err := c.ws.Reader(c.ctx)
		if err != nil {
			n.log.Info("disconnected", "runtime", c.runtime, "error", readError(err))
			return
		}
		text, err := c.readAll(io.LimitReader(r, message.MaxJSON+1))
		text = bytes.Clone(text) // parts of it may be kept
		c.readDone()
		if err != nil {
			n.log.Info("disconnected", "runtime", c.runtime, "error", readError(err))
			return
		}
		if kind != websocket.MessageText {
			c.kick(websocket.StatusUnsupportedData, "messages are JSON texts")
			continue
		}
		if len(text) > message.MaxJSON {
			rest, err := io.Copy(io.Discard, r)
			if err != nil {
				return
			}
			n.refuseText(c, text, message.CodeTooLarge, fmt.Sprintf("a message of %d bytes, at most %d are allowed", int64(len(text))+rest, message.MaxJSON))
			continue
		}
		if !utf8.Valid(text) { // RFC 6455, section 8.1
			c.kick(websocket.StatusInvalidFramePayloadData, "a text is UTF-8, this one is not")
			continue
		}
		if len(text) > shortText && c.begin() != nil {
			return // the connection has ended
		}
		f(text)
		c.finish()
	}
}

// handleJSON reads a message and handles it, once for each address in its to.
func (n *Node) handleJSON(c *conn, text []byte, badForm int) {
	list, err := refjson.Parse(text)
	if err != nil {
		if errors.Is(err, message.ErrTooLarge) {
			badForm = message.CodeTooLarge
		}
		n.refuseText(c, text, badForm, err.Error())
		return
	}
	c.finish() // its functions wait for their own turns
	for _, m := range list {
		n.handle(c, m)
		c.keepPace()
	}
}

// refuseText answers a text that is no message, with whatever can be read of its id and from. A flood of them is read slowly.
func (n *Node) refuseText(c *conn, text []byte, code int, why string) {
	defer c.strike()
	id, from, kind := refjson.Salvage(text)
	if from == "" {
		from = c.runtime
	}
	n.log.Debug("bad message", "runtime", c.runtime, "reason", why)
	if kind == message.Response || from == "" {
		return // an answer is never answered; and before a session is open there is nobody to answer
	}
	m := message.Message{ID: id, Type: message.Create, From: from, To: validator}
	m = m.Refuse(code, "%s", why)
	if text, err := m.MarshalJSON(); err == nil {
		c.send(wire.Append(nil, kindText, text))
	}
}
