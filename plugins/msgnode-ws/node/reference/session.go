package reference

import (
	"crypto/rand"
	"encoding/hex"
	"time"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/address"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/conn"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refjson"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/sdk/message"
)

// ServeSession is the reader of a session stub's connection (specification, "Session stub").
func (s *Server) ServeSession(c *routing.Client, token string) {
	timer := time.AfterFunc(s.o.Times.Handshake, func() {
		if c.Runtime() == "" {
			c.Kick(websocket.StatusPolicyViolation, "no session was opened in time")
		}
	})
	defer timer.Stop()
	s.readJSON(c, func(text []byte) {
		if _, _, kind := refjson.Salvage(text); c.Runtime() == "" || kind == message.Open || kind == message.ReOpen || kind == message.Close {
			s.sessionMessage(c, text, token)
			return
		}
		s.handleJSON(c, text, message.CodeError)
	})
}

// sessionMessage handles what goes to mn:/session.
func (s *Server) sessionMessage(c *routing.Client, text []byte, token string) {
	var m message.Message
	if err := m.UnmarshalJSON(text); err != nil {
		if _, _, kind := refjson.Salvage(text); kind == message.Close && c.Runtime() != "" { // the reference stub may leave out from
			s.closeSession(c)
			return
		}
		s.refuseText(c, text, message.CodeError, err.Error())
		return
	}
	var answer message.Message
	switch {
	case m.To != message.SessionAddress:
		answer = m.Refuse(message.CodeUnauthorised, "open a session first: type open to %s", message.SessionAddress)
	case m.Type == message.Open:
		answer = s.openSession(c, m, token)
	case m.Type == message.ReOpen:
		answer = s.reopenSession(c, m, token)
	case m.Type == message.Close:
		s.closeSession(c)
		return
	default:
		answer = m.Refuse(message.CodeError, "%s is not one of open, re-open, close", m.Type)
	}
	if m.Type != message.Response {
		c.SendMessage(answer)
	}
}

func (s *Server) openSession(c *routing.Client, m message.Message, token string) message.Message {
	runtime, refused := address.Unproved(string(m.From))
	if refused != nil {
		return refused.Response(&m)
	}
	if runtime != m.From.Canonical() {
		return m.Refuse(message.CodeBadRequest, "open comes from the runtime's URL, not from %s", m.From)
	}
	if refused := s.admitSession(c, runtime, token); refused != nil {
		return refused.Response(&m)
	}
	key := backbone.Hash(string(runtime))
	session := s.o.State.Sessions.Get(key)
	if session == nil {
		if r := s.o.Writes.May(c, runtime, 1); r != nil {
			return r.Response(&m)
		}
		ctx, cancel := s.o.State.Within(c.Context())
		defer cancel()
		fresh := &state.Session{Runtime: runtime, Token: newToken(), Source: s.o.State.SourceTerm(c.From)}
		err := s.o.State.Sessions.Change(ctx, key, func(old *state.Session) (*state.Session, error) {
			if session = old; session == nil {
				session = fresh
			}
			return session, nil
		})
		if r := s.o.Writes.Failed(err); r != nil {
			return r.Response(&m)
		}
	}
	return s.beginSession(c, m, session)
}

func (s *Server) reopenSession(c *routing.Client, m message.Message, token string) message.Message {
	from := m.From.Canonical()
	runtime := m.From.Runtime()
	session := s.o.State.Sessions.Get(backbone.Hash(string(runtime)))
	if session == nil || string(from) != string(session.Runtime)+"/"+session.Token {
		return m.Refuse(message.CodeError, "no such session; open a new one")
	}
	if refused := s.admitSession(c, runtime, token); refused != nil {
		return refused.Response(&m)
	}
	return s.beginSession(c, m, session)
}

// admitSession decides whether a session stub's runtime may use the node.
func (s *Server) admitSession(c *routing.Client, runtime message.URL, token string) *refusal.Refusal {
	if c.Runtime() != "" {
		return nil
	}
	guest, refused := s.o.Invites.AdmitUnproved(c.Context(), runtime, token)
	c.Guest = guest
	return refused
}

// beginSession makes c the connection of the session's runtime.
func (s *Server) beginSession(c *routing.Client, m message.Message, session *state.Session) message.Message {
	if c.Runtime() != "" && c.Runtime() != session.Runtime {
		return m.Refuse(message.CodeForbidden, "this connection is the session of %s", c.Runtime())
	}
	if c.Runtime() == "" {
		c.SetRuntime(session.Runtime)
		if err := s.o.Router.Attach(c); err != nil {
			c.Kick(websocket.StatusTryAgainLater, "the node cannot route to you now")
			return m.Refuse(message.CodeUnavailable, "the node cannot route to you now: %v", err)
		}
		s.o.Log.Info("connected", "runtime", c.Runtime(), "dialect", "session")
	}
	return m.RespondBody(message.Encode(map[string]any{"code": message.CodeOK, "runtimeToken": session.Token}))
}

// closeSession forgets the session, its subscriptions and its addresses, and closes the connection.
func (s *Server) closeSession(c *routing.Client) {
	c.Finish() // from here on it waits for the disk
	if c.Runtime() == "" {
		c.Kick(conn.CodeLeft, "closed as you asked")
		return
	}
	ctx, cancel := s.o.State.Within(c.Context())
	defer cancel()
	err := s.o.State.Sessions.Change(ctx, backbone.Hash(string(c.Runtime())), func(*state.Session) (*state.Session, error) { return nil, nil })
	for _, a := range s.o.State.Allocations.Find("r:" + string(c.Runtime())) {
		if err == nil && !a.Wished {
			err = s.o.Allocation.Release(ctx, a.Address, c.Runtime())
		}
	}
	if err != nil {
		s.o.Log.Warn("session not closed in the state", "runtime", c.Runtime(), "error", err)
	}
	s.leave(c)
}

// newToken is 16 random bytes in hex.
func newToken() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
