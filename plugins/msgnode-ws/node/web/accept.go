package web

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/address"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/conn"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/rates"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
)

// accept makes a WebSocket of a request, if there is room for one more. begin is called with it and returns the
// function that serves the connection until it ends; nil: it has ended. That function has a goroutine of its own,
// since the request's goroutine has a stack, buffers and headers that are not needed any more.
func (s *Server) accept(w http.ResponseWriter, r *http.Request, d conn.Dialect, begin func(*routing.Client) (serve func())) {
	k, from := netConnOf(r), s.o.Sources.Client(r)
	if !s.mayConnect(w, from, d) {
		return
	}
	wc := s.o.Conns.New(from, d)
	if wc == nil {
		http.Error(w, "the node stops", http.StatusServiceUnavailable)
		return
	}
	stays := false
	defer func() {
		if !stays {
			s.o.Conns.Remove(wc)
		}
	}()
	o := &websocket.AcceptOptions{OriginPatterns: s.o.Origins}
	if d == conn.Binary {
		o.Subprotocols = []string{wire.Subprotocol}
	}
	ws, err := websocket.Accept(lean{w}, r, o)
	if err != nil {
		s.o.Log.Debug("no WebSocket", "remote", r.RemoteAddr, "error", err)
		return
	}
	if !wc.Start(ws) {
		ws.Close(websocket.StatusGoingAway, "the node stops")
		return
	}
	c := routing.NewClient(wc, rates.NewSpending(wc.Context(), s.o.Rates, from, wc.ID), k.ticket)
	serve := begin(c)
	stays = true
	go func() { // [conn.Set.Close] waits for it
		defer s.o.Conns.Remove(wc)
		defer c.End()
		if serve != nil {
			serve()
		}
		s.o.Router.Detach(c)
	}()
}

// mayConnect tells whether there is room for one more WebSocket, and answers the request if there is none.
func (s *Server) mayConnect(w http.ResponseWriter, from quota.Source, d conn.Dialect) bool {
	l := s.o.Limits
	switch {
	case s.o.Listener.full(from):
		later(w, http.StatusServiceUnavailable, comeAgain, fmt.Sprintf("the node has %d connections, no more are allowed", l.Connections))
		return false
	case d != conn.Binary && s.o.Router.Roster.FullOfUnproved():
		later(w, http.StatusServiceUnavailable, comeAgain, fmt.Sprintf("the node has %d connections in the reference's dialects, no more are allowed", l.Legacy))
		return false
	case from.IsValid():
		if wait, tooMany := s.o.Rates.WebSocket(from, time.Now()); tooMany != "" {
			later(w, http.StatusTooManyRequests, wait, tooMany)
			return false
		}
		s.o.Rates.PaceHandshake(s.o.Context, from)
	}
	return true
}

// lean is a ResponseWriter whose connection gets a small buffer for writing. Packets are written whole: the buffer is for a
// frame's head, and a small packet behind it.
type lean struct{ http.ResponseWriter }

const writeBuffer = 2 << 10

// Hijack hands the connection over; see http.Hijacker.
func (l lean) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(l.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	return c, bufio.NewReadWriter(rw.Reader, bufio.NewWriterSize(c, writeBuffer)), nil
}

// acceptBinary serves protofly.v1.
func (s *Server) acceptBinary(w http.ResponseWriter, r *http.Request) {
	if !strings.Contains(strings.Join(r.Header.Values("Sec-WebSocket-Protocol"), ","), wire.Subprotocol) {
		http.Error(w, "this endpoint speaks the WebSocket subprotocol "+wire.Subprotocol, http.StatusBadRequest)
		return
	}
	s.accept(w, r, conn.Binary, s.o.Binary.Begin)
}

func (s *Server) legacyAllowed(w http.ResponseWriter) bool {
	if !s.o.Legacy {
		http.Error(w, "the reference dialects are not allowed at this node (its operator can set legacy)", http.StatusForbidden)
	}
	return s.o.Legacy
}

// acceptPlain serves the plain WebSocket stub; the connection's identity is the runtimeURL in the request.
func (s *Server) acceptPlain(w http.ResponseWriter, r *http.Request) {
	if !s.legacyAllowed(w) {
		return
	}
	runtime, refused := address.Unproved(r.URL.Query().Get("runtimeURL"))
	if refused != nil {
		http.Error(w, "runtimeURL: "+refused.Text, http.StatusForbidden)
		return
	}
	guest, refused := s.o.Invites.AdmitUnproved(r.Context(), runtime, r.URL.Query().Get("token"))
	if refused != nil {
		http.Error(w, refused.Text, http.StatusForbidden)
		return
	}
	s.accept(w, r, conn.PlainJSON, func(c *routing.Client) func() {
		c.Guest = guest
		return func() { s.o.Reference.ServePlain(c, runtime) }
	})
}

// acceptSession serves the session stub.
func (s *Server) acceptSession(w http.ResponseWriter, r *http.Request) {
	if !s.legacyAllowed(w) {
		return
	}
	token := r.URL.Query().Get("token")
	s.accept(w, r, conn.SessionJSON, func(c *routing.Client) func() { return func() { s.o.Reference.ServeSession(c, token) } })
}
