package node

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
)

// listener is the node's listener: it counts connections from the moment that they are made until they are closed, whatever
// is said on them. One that is over a bound is told so by a response 429 or 503 where that costs little, else closed.
type listener struct {
	net.Listener
	sources  quota.Sources
	arrivals *quota.Buckets[quota.Source]
	tls      bool // nothing can be said before a handshake, which costs more than it is worth

	refusing atomic.Int32 // connections over a bound that are being told

	mu   sync.Mutex
	gate *quota.Gate
}

const (
	maxRefusing = 64              // connections over a bound that are told why, at once
	refusalTime = 2 * time.Second // how long one of them has to hear it
	comeAgain   = 5 * time.Second // when it may come again, as far as anybody knows
)

// netConn is a connection that the listener has counted.
type netConn struct {
	net.Conn
	listener *listener
	ticket   *quota.Ticket
	verdict  quota.Verdict
	once     sync.Once
	timer    *time.Timer // ends a refused one
}

// Accept waits for the next connection; see net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from, _ := l.sources.Remote(c.RemoteAddr().String())
		k := &netConn{Conn: c, listener: l}
		k.ticket = &quota.Ticket{From: from, Since: time.Now(), Close: func() { c.Close() }}
		if k.verdict = l.arrive(k.ticket); k.verdict == quota.Welcome {
			return k, nil
		}
		if k.verdict == quota.Hasty && l.tls || !l.mayRefuse() {
			c.Close()
			continue
		}
		k.timer = time.AfterFunc(refusalTime, func() { c.Close() })
		return k, nil
	}
}

// mayRefuse takes one of the places for connections that are told why they are refused.
func (l *listener) mayRefuse() bool {
	if l.refusing.Add(1) > maxRefusing {
		l.refusing.Add(-1)
		return false
	}
	return true
}

// arrive decides about a new connection.
func (l *listener) arrive(t *quota.Ticket) quota.Verdict {
	if t.From.IsValid() {
		if _, ok := l.arrivals.Take(t.From, 1, t.Since); !ok {
			return quota.Hasty
		}
	}
	l.mu.Lock()
	v, evicted := l.gate.Arrive(t)
	l.mu.Unlock()
	if evicted != nil {
		evicted.Close()
	}
	return v
}

// Close closes the connection and gives its place back; see net.Conn.
func (k *netConn) Close() error {
	k.once.Do(func() {
		if k.timer != nil {
			k.timer.Stop()
			k.listener.refusing.Add(-1)
			return
		}
		k.listener.mu.Lock()
		defer k.listener.mu.Unlock()
		k.listener.gate.Leave(k.ticket)
	})
	return k.Conn.Close()
}

// enter attaches the connection: it waits no longer. False: the node has as many as it may. kick is called when it has to
// make room.
func (l *listener) enter(t *quota.Ticket, replaces bool, kick func()) bool {
	l.mu.Lock()
	t.Kick = kick
	ok, evicted := l.gate.Enter(t, replaces)
	l.mu.Unlock()
	if evicted != nil {
		evicted.Kick()
	}
	return ok
}

// settle counts a connection for the source that its request names.
func (l *listener) settle(t *quota.Ticket, from quota.Source) quota.Verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gate.Move(t, from)
}

func (l *listener) full(from quota.Source) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gate.Full(from)
}

// netConnKey is under which a request's context has its connection.
type netConnKey struct{}

// withNetConn is http.Server's ConnContext.
func withNetConn(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok { // TLS
		c = t.NetConn()
	}
	return context.WithValue(ctx, netConnKey{}, c)
}

func netConnOf(r *http.Request) *netConn {
	k, _ := r.Context().Value(netConnKey{}).(*netConn)
	return k
}

// bounded is next for connections and requests that are within their bounds. The others are told when to come again.
func (n *Node) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k := netConnOf(r)
		if k == nil {
			http.Error(w, "no connection", http.StatusInternalServerError)
			return
		}
		v := k.verdict
		from := n.listener.sources.Client(r)
		if v == quota.Welcome {
			v = n.listener.settle(k.ticket, from)
		}
		switch v {
		case quota.Crowded:
			later(w, http.StatusTooManyRequests, comeAgain, "your address has "+strconv.Itoa(n.opts.Limits.PerAddress)+" connections to the node, no more are allowed")
			return
		case quota.Hasty:
			later(w, http.StatusTooManyRequests, comeAgain, "too many connections from your address, one after the other")
			return
		case quota.Overfull:
			later(w, http.StatusServiceUnavailable, comeAgain, "too many connections have not said yet who they are")
			return
		}
		if webSocket := r.URL.Path == wire.Path || r.URL.Path == pathPlain || r.URL.Path == pathSession; from.IsValid() && !webSocket {
			if wait, ok := n.rates.requests.Take(from, 1, time.Now()); !ok {
				later(w, http.StatusTooManyRequests, wait, "too many requests from your address")
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// later answers that a request may be made again after a while.
func later(w http.ResponseWriter, status int, wait time.Duration, text string) {
	w.Header().Set("Retry-After", strconv.Itoa(seconds(wait)))
	w.Header().Set("Connection", "close")
	http.Error(w, text, status)
}

// server is the node's HTTP server. It speaks HTTP/1.1 only: HTTP/2 carries no WebSocket that a stub would use, and many
// requests at once on one connection that is counted as one.
func (n *Node) server() *http.Server {
	t := n.opts.Times
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	s := &http.Server{Handler: n.bounded(n.handler()), ConnContext: withNetConn, Protocols: protocols, MaxHeaderBytes: 16 << 10,
		// A WebSocket leaves these times behind; a request and its answer have them, and so has what comes before: TLS.
		ReadHeaderTimeout: t.Handshake, ReadTimeout: t.Handshake, WriteTimeout: t.Handshake, IdleTimeout: t.Handshake,
		ErrorLog: n.log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug})}
	return s
}

// serveHTTP runs the server until it is closed.
func (n *Node) serveHTTP(s *http.Server) error {
	if n.opts.TLS == nil {
		return s.Serve(n.listener)
	}
	s.TLSConfig = n.opts.TLS.Clone()
	s.TLSConfig.NextProtos = []string{"http/1.1"}
	s.TLSConfig.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) { // before it costs anything
		from, _ := n.listener.sources.Remote(h.Conn.RemoteAddr().String())
		n.paceHandshake(from)
		if choose := n.opts.TLS.GetConfigForClient; choose != nil {
			return choose(h)
		}
		return nil, nil
	}
	err := s.ServeTLS(n.listener, "", "")
	if errors.Is(err, http.ErrServerClosed) {
		return http.ErrServerClosed
	}
	return err
}
