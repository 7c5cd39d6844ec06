package node

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/address"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
)

// accept makes a WebSocket of a request, where there is room for one more. begin is called with it and returns what
// serves the connection until it ends, nil where it is over. That has a goroutine of its own, for as long as the
// connection lives: the request's has a stack, buffers and headers that nobody needs any more.
func (n *Node) accept(w http.ResponseWriter, r *http.Request, d dialect, begin func(*conn) (serve func())) {
	k, from := netConnOf(r), n.listener.sources.Client(r)
	if !n.mayConnect(w, k, from, d) {
		return
	}
	n.mu.Lock()
	if n.closing {
		n.mu.Unlock()
		http.Error(w, "the node stops", http.StatusServiceUnavailable)
		return
	}
	c := n.newConn(k, from, d)
	n.conns[c] = struct{}{}
	n.serving.Add(1)
	n.mu.Unlock()
	leave := func() {
		n.mu.Lock()
		delete(n.conns, c)
		n.mu.Unlock()
		n.serving.Done()
	}
	stays := false
	defer func() {
		if !stays {
			leave()
		}
	}()
	o := &websocket.AcceptOptions{OriginPatterns: n.opts.Origins}
	if d == binary {
		o.Subprotocols = []string{wire.Subprotocol}
	}
	ws, err := websocket.Accept(lean{w}, r, o)
	if err != nil {
		c.cancel()
		n.log.Debug("no WebSocket", "remote", r.RemoteAddr, "error", err)
		return
	}
	if !c.open(ws) {
		ws.Close(websocket.StatusGoingAway, "the node stops")
		return
	}
	c.run()
	serve := begin(c)
	stays = true
	go func() {
		defer leave()
		defer c.end()
		if serve != nil {
			serve()
		}
		n.detach(c)
	}()
}

// mayConnect tells whether there is room for one more WebSocket, and answers the request where there is none.
func (n *Node) mayConnect(w http.ResponseWriter, k *netConn, from quota.Source, d dialect) bool {
	l := n.opts.Limits
	switch {
	case n.listener.full(from):
		later(w, http.StatusServiceUnavailable, comeAgain, fmt.Sprintf("the node has %d connections, no more are allowed", l.Connections))
		return false
	case d != binary && n.manyLegacies():
		later(w, http.StatusServiceUnavailable, comeAgain, fmt.Sprintf("the node has %d connections in the reference's dialects, no more are allowed", l.Legacy))
		return false
	case from.IsValid():
		if wait, ok := n.rates.handshakes.Take(from, 1, time.Now()); !ok {
			later(w, http.StatusTooManyRequests, wait, "too many connections from your address, one after the other")
			return false
		}
		if wait, ok := n.rates.requests.Take(from, handshakePrice, time.Now()); !ok {
			later(w, http.StatusTooManyRequests, wait, "too many requests from your address")
			return false
		}
		n.paceHandshake(from)
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

// open gives the connection its WebSocket; false: it was kicked before it had one.
func (c *conn) open(ws *websocket.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ws = ws
	return !c.closed
}

// acceptBinary serves protofly.v1.
func (n *Node) acceptBinary(w http.ResponseWriter, r *http.Request) {
	if !strings.Contains(strings.Join(r.Header.Values("Sec-WebSocket-Protocol"), ","), wire.Subprotocol) {
		http.Error(w, "this endpoint speaks the WebSocket subprotocol "+wire.Subprotocol, http.StatusBadRequest)
		return
	}
	n.accept(w, r, binary, n.beginBinary)
}

func (n *Node) legacyAllowed(w http.ResponseWriter) bool {
	if !n.opts.Legacy {
		http.Error(w, "the reference dialects are not allowed at this node (its operator can set legacy)", http.StatusForbidden)
	}
	return n.opts.Legacy
}

// acceptPlain serves the plain WebSocket stub; the connection's identity is the runtimeURL in the request.
func (n *Node) acceptPlain(w http.ResponseWriter, r *http.Request) {
	if !n.legacyAllowed(w) {
		return
	}
	runtime, refused := address.Unproved(r.URL.Query().Get("runtimeURL"))
	if refused != nil {
		http.Error(w, "runtimeURL: "+refused.Text, http.StatusForbidden)
		return
	}
	guest, refused := n.admitLegacy(r.Context(), runtime, r.URL.Query().Get("token"))
	if refused != nil {
		http.Error(w, refused.Text, http.StatusForbidden)
		return
	}
	n.accept(w, r, plainJSON, func(c *conn) func() {
		c.guest = guest
		return func() { n.servePlain(c, runtime) }
	})
}

// acceptSession serves the session stub.
func (n *Node) acceptSession(w http.ResponseWriter, r *http.Request) {
	if !n.legacyAllowed(w) {
		return
	}
	token := r.URL.Query().Get("token")
	n.accept(w, r, sessionJSON, func(c *conn) func() { return func() { n.serveSession(c, token) } })
}
