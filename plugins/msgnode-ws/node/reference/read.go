package reference

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/conn"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refjson"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

const (
	// unopened is the longest packet of a session stub that has not opened its session, in bytes.
	unopened = 2 * wire.MaxHandshake
	// drainJSON is the longest JSON text after which the connection goes on. A text longer than message.MaxJSON is read,
	// dropped, and answered 413.
	drainJSON = 16 << 20
	// shortText is the longest text that is parsed at once: longer ones wait for a turn, since parsing takes some 40 µs for
	// each KiB.
	shortText = 4 << 10
)

// readJSON gives each text to f until the connection ends.
func (s *Server) readJSON(c *routing.Client, f func(text []byte)) {
	for {
		c.KeepPace()
		if c.Runtime() == "" { // a session that is not open yet
			c.SetReadLimit(unopened)
		} else {
			c.SetReadLimit(drainJSON)
		}
		kind, text, size, err := c.ReadText(message.MaxJSON)
		if err != nil {
			s.o.Log.Info("disconnected", "runtime", c.Runtime(), "error", conn.ReadEnd(err))
			return
		}
		if kind != websocket.MessageText {
			c.Kick(websocket.StatusUnsupportedData, "messages are JSON texts")
			continue
		}
		if len(text) > message.MaxJSON {
			s.refuseText(c, text, message.CodeTooLarge, fmt.Sprintf("a message of %d bytes, at most %d are allowed", size, message.MaxJSON))
			continue
		}
		if !utf8.Valid(text) { // RFC 6455, section 8.1
			c.Kick(websocket.StatusInvalidFramePayloadData, "a text is UTF-8, this one is not")
			continue
		}
		if len(text) > shortText && c.Begin() != nil {
			return // the connection has ended
		}
		f(text)
		c.Finish()
	}
}

// handleJSON reads a message and handles it, once for each address in its to.
func (s *Server) handleJSON(c *routing.Client, text []byte, badForm int) {
	list, err := refjson.Parse(text)
	if err != nil {
		if errors.Is(err, message.ErrTooLarge) {
			badForm = message.CodeTooLarge
		}
		s.refuseText(c, text, badForm, err.Error())
		return
	}
	c.Finish() // its functions wait for their own turns
	for _, m := range list {
		s.o.Relay.Handle(c, m)
		c.KeepPace()
	}
}
