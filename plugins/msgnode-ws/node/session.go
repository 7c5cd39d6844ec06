package node

import (
	"context"
	"time"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/address"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refjson"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/sdk/message"
)

// serveSession is the reader of a session stub's connection (specification, "Session stub").
func (n *Node) serveSession(c *conn, token string) {
	timer := time.AfterFunc(n.opts.Times.Handshake, func() {
		if c.whose() == "" {
			c.kick(websocket.StatusPolicyViolation, "no session was opened in time")
		}
	})
	defer timer.Stop()
	n.readJSON(c, func(text []byte) {
		if _, _, kind := refjson.Salvage(text); c.runtime == "" || kind == message.Open || kind == message.ReOpen || kind == message.Close {
			n.sessionMessage(c, text, token)
			return
		}
		n.handleJSON(c, text, message.CodeError)
	})
}

// sessionMessage handles what goes to mn:/session.
func (n *Node) sessionMessage(c *conn, text []byte, token string) {
	var m message.Message
	if err := m.UnmarshalJSON(text); err != nil {
		if _, _, kind := refjson.Salvage(text); kind == message.Close && c.runtime != "" { // the reference stub may leave from out
			n.closeSession(c)
			return
		}
		n.refuseText(c, text, message.CodeError, err.Error())
		return
	}
	var answer message.Message
	switch {
	case m.To != message.SessionAddress:
		answer = m.Refuse(message.CodeUnauthorised, "open a session first: type open to %s", message.SessionAddress)
	case m.Type == message.Open:
		answer = n.openSession(c, m, token)
	case m.Type == message.ReOpen:
		answer = n.reopenSession(c, m, token)
	case m.Type == message.Close:
		n.closeSession(c)
		return
	default:
		answer = m.Refuse(message.CodeError, "%s is not one of open, re-open, close", m.Type)
	}
	if m.Type != message.Response {
		c.sendMessage(answer)
	}
}

func (n *Node) openSession(c *conn, m message.Message, token string) message.Message {
	runtime, refused := address.Unproved(string(m.From))
	if refused != nil {
		return refused.Response(&m)
	}
	if runtime != m.From.Canonical() {
		return m.Refuse(message.CodeBadRequest, "open comes from the runtime's URL, not from %s", m.From)
	}
	if refused := n.admitSession(c, runtime, token); refused != nil {
		return refused.Response(&m)
	}
	key := backbone.Hash(string(runtime))
	s := n.state.Sessions.Get(key)
	if s == nil {
		if r := n.writable(c, runtime, 1); r != nil {
			return r.Response(&m)
		}
		ctx, cancel := context.WithTimeout(c.ctx, n.opts.Times.State)
		defer cancel()
		fresh := &state.Session{Runtime: runtime, Token: newSecret(), Source: n.state.SourceTerm(c.from)}
		err := n.state.Sessions.Change(ctx, key, func(old *state.Session) (*state.Session, error) {
			if s = old; s == nil {
				s = fresh
			}
			return s, nil
		})
		if r := n.stateRefusal(err); r != nil {
			return r.Response(&m)
		}
	}
	return n.beginSession(c, m, s)
}

func (n *Node) reopenSession(c *conn, m message.Message, token string) message.Message {
	from := m.From.Canonical()
	runtime := m.From.Runtime()
	s := n.state.Sessions.Get(backbone.Hash(string(runtime)))
	if s == nil || string(from) != string(s.Runtime)+"/"+s.Token {
		return m.Refuse(message.CodeError, "no such session; open a new one")
	}
	if refused := n.admitSession(c, runtime, token); refused != nil {
		return refused.Response(&m)
	}
	return n.beginSession(c, m, s)
}

// admitSession decides whether a session stub's runtime may use the node.
func (n *Node) admitSession(c *conn, runtime message.URL, token string) *refusal.Refusal {
	if c.runtime != "" {
		return nil
	}
	guest, refused := n.admitLegacy(c.ctx, runtime, token)
	c.guest = guest
	return refused
}

// beginSession makes c the connection of the session's runtime.
func (n *Node) beginSession(c *conn, m message.Message, s *state.Session) message.Message {
	if c.runtime != "" && c.runtime != s.Runtime {
		return m.Refuse(message.CodeForbidden, "this connection is the session of %s", c.runtime)
	}
	if c.runtime == "" {
		c.setRuntime(s.Runtime)
		if err := n.attach(c); err != nil {
			c.kick(websocket.StatusTryAgainLater, "the node cannot route to you now")
			return m.Refuse(message.CodeUnavailable, "the node cannot route to you now: %v", err)
		}
		n.log.Info("connected", "runtime", c.runtime, "dialect", "session")
	}
	return m.RespondBody(message.Encode(map[string]any{"code": message.CodeOK, "runtimeToken": s.Token}))
}

// closeSession forgets the session, its subscriptions and its addresses, and closes the connection.
func (n *Node) closeSession(c *conn) {
	c.finish() // from here on it waits for the disk
	if c.runtime == "" {
		c.kick(closeDropped, "closed as you asked")
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, n.opts.Times.State)
	defer cancel()
	err := n.state.Sessions.Change(ctx, backbone.Hash(string(c.runtime)), func(*state.Session) (*state.Session, error) { return nil, nil })
	for _, a := range n.state.Allocations.Find("r:" + string(c.runtime)) {
		if err == nil && !a.Wished {
			err = n.release(ctx, a.Address, c.runtime)
		}
	}
	if err != nil {
		n.log.Warn("session not closed in the state", "runtime", c.runtime, "error", err)
	}
	n.leave(c)
}
