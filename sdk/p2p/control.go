package p2p

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/protofly/protofly/sdk/message"
)

// command is what a registry may tell a stub: to execute a method, or to open a door.
type command struct {
	Method string      // connect, disconnect, or "" for a subscribe
	Target message.URL // the Handler to connect to; the runtime to disconnect from; the peer of the door
	Door   message.URL
}

// parseCommand reads a message to a stub. The error is a *message.ResponseError to answer with.
func parseCommand(m *message.Message) (c command, err error) {
	bad := func(format string, args ...any) (command, error) {
		return command{}, &message.ResponseError{Code: message.CodeBadRequest, Description: fmt.Sprintf(format, args...), From: m.To}
	}
	switch m.Type {
	case message.Execute:
		var body struct {
			Method string            `json:"method"`
			Params []json.RawMessage `json:"params"`
		}
		if err := m.Decode(&body); err != nil {
			return bad("%v", err)
		}
		if body.Method != "connect" && body.Method != "disconnect" {
			return bad("method %.40q: want connect or disconnect", body.Method)
		}
		var target string
		if len(body.Params) != 1 || json.Unmarshal(body.Params[0], &target) != nil {
			return bad("%s: want params with one address", body.Method)
		}
		if c.Target, err = message.ParseURL(target); err != nil {
			return bad("%s: %v", body.Method, err)
		}
		c.Method = body.Method
	case message.Subscribe:
		var body struct {
			Subscribe message.URLs `json:"subscribe"`
			Peer      string       `json:"peer"`
		}
		if err := m.Decode(&body); err != nil {
			return bad("%v", err)
		}
		if len(body.Subscribe) != 1 {
			return bad("want the address of one connection in subscribe, got %d", len(body.Subscribe))
		}
		if c.Target, err = message.ParseURL(body.Peer); err != nil {
			return bad("peer: %v", err)
		}
		c.Door = body.Subscribe[0]
	}
	return c, nil
}

// control listens for commands at the instance's address, where the syncher listens too, which takes all other types
// of messages. Only this runtime's registry may give commands. do returns a *message.ResponseError, or nil for 200;
// it must be quick.
func (i *instance) control(do func(command) error) (stop func()) {
	registry := i.start.Runtime.Join("registry").Canonical()
	return i.bus.Listen(i.start.URL, func(ctx context.Context, m message.Message) {
		if m.Type != message.Execute && m.Type != message.Subscribe {
			return
		}
		answer := m.Respond(message.CodeOK, nil)
		if m.From.Canonical() != registry {
			answer = m.Refuse(message.CodeForbidden, "only %s commands this stub", registry)
		} else if c, err := parseCommand(&m); err != nil {
			answer = refusal(m, err)
		} else if err := do(c); err != nil {
			answer = refusal(m, err)
		}
		if err := i.bus.Post(ctx, answer); err != nil {
			i.log.Debug("answering a command", "from", string(m.From), "error", err)
		}
	})
}

func refusal(m message.Message, err error) message.Message {
	if r, ok := err.(*message.ResponseError); ok {
		return m.Refuse(r.Code, "%s", r.Description)
	}
	return m.Refuse(message.CodeError, "%v", err)
}

func refuse(code int, format string, args ...any) error {
	return &message.ResponseError{Code: code, Description: fmt.Sprintf(format, args...)}
}
