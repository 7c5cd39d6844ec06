package node

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
)

// door is the node's listener: it counts connections from the moment that they are made until they are closed, whatever
// is said on them. One that is over a bound is told so by a response 429 or 503 where that costs little, else closed.
type door struct {
	net.Listener
	sources  sources
	arrivals *buckets[source]
	tls      bool // nothing can be said before a handshake, which costs more than it is worth

	refusing atomic.Int32 // connections over a bound that are being told

	mu   sync.Mutex
	gate *gate
}

const (
	maxRefusing = 64              // connections over a bound that are told why, at once
	refusalTime = 2 * time.Second // how long one of them has to hear it
	comeAgain   = 5 * time.Second // when it may come again, as far as anybody knows
)

// knock is a connection that came through the door.
type knock struct {
	net.Conn
	door    *door
	ticket  *ticket
	verdict verdict
	once    sync.Once
	timer   *time.Timer // ends a refused one
}

// Accept waits for the next connection; see net.Listener.
func (d *door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from, _ := d.sources.remote(c.RemoteAddr().String())
		k := &knock{Conn: c, door: d}
		k.ticket = &ticket{from: from, since: time.Now(), close: func() { c.Close() }}
		if k.verdict = d.arrive(k.ticket); k.verdict == welcome {
			return k, nil
		}
		if k.verdict == hasty && d.tls || !d.mayRefuse() {
			c.Close()
			continue
		}
		k.timer = time.AfterFunc(refusalTime, func() { c.Close() })
		return k, nil
	}
}

// mayRefuse takes one of the places for connections that are told why they are refused.
func (d *door) mayRefuse() bool {
	if d.refusing.Add(1) > maxRefusing {
		d.refusing.Add(-1)
		return false
	}
	return true
}

// arrive decides about a new connection.
func (d *door) arrive(t *ticket) verdict {
	if t.from.IsValid() {
		if _, ok := d.arrivals.take(t.from, 1, t.since); !ok {
			return hasty
		}
	}
	d.mu.Lock()
	v, evicted := d.gate.arrive(t)
	d.mu.Unlock()
	if evicted != nil {
		evicted.close()
	}
	return v
}

// Close closes the connection and gives its place back; see net.Conn.
func (k *knock) Close() error {
	k.once.Do(func() {
		if k.timer != nil {
			k.timer.Stop()
			k.door.refusing.Add(-1)
			return
		}
		k.door.mu.Lock()
		defer k.door.mu.Unlock()
		k.door.gate.leave(k.ticket)
	})
	return k.Conn.Close()
}

// enter attaches the connection: it waits no longer. False: the node has as many as it may.
func (d *door) enter(t *ticket, replaces bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.gate.enter(t, replaces)
}

// settle counts a connection for the source that its request names.
func (d *door) settle(t *ticket, from source) verdict {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.gate.move(t, from)
}

func (d *door) full() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.gate.full()
}

// knockKey is under which a request's context has its connection.
type knockKey struct{}

// withKnock is http.Server's ConnContext.
func withKnock(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok { // TLS
		c = t.NetConn()
	}
	return context.WithValue(ctx, knockKey{}, c)
}

func knockOf(r *http.Request) *knock {
	k, _ := r.Context().Value(knockKey{}).(*knock)
	return k
}

// bounded is next for connections and requests that are within their bounds. The others are told when to come again.
func (n *Node) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k := knockOf(r)
		if k == nil {
			http.Error(w, "no connection", http.StatusInternalServerError)
			return
		}
		v := k.verdict
		from := n.door.sources.client(r)
		if v == welcome {
			v = n.door.settle(k.ticket, from)
		}
		switch v {
		case crowded:
			later(w, http.StatusTooManyRequests, comeAgain, "your address has "+strconv.Itoa(n.opts.Limits.PerAddress)+" connections to the node, no more are allowed")
			return
		case hasty:
			later(w, http.StatusTooManyRequests, comeAgain, "too many connections from your address, one after the other")
			return
		case overfull:
			later(w, http.StatusServiceUnavailable, comeAgain, "too many connections have not said yet who they are")
			return
		}
		if from.IsValid() {
			if wait, ok := n.rates.requests.take(from, 1, time.Now()); !ok {
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
	s := &http.Server{Handler: n.bounded(n.handler()), ConnContext: withKnock, Protocols: protocols, MaxHeaderBytes: 16 << 10,
		// A WebSocket leaves these times behind; a request and its answer have them, and so has what comes before: TLS.
		ReadHeaderTimeout: t.Handshake, ReadTimeout: t.Handshake, WriteTimeout: t.Handshake, IdleTimeout: t.Handshake,
		ErrorLog: n.log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug})}
	return s
}

// serveHTTP runs the server until it is closed.
func (n *Node) serveHTTP(s *http.Server) error {
	if n.opts.TLS == nil {
		return s.Serve(n.door)
	}
	s.TLSConfig = n.opts.TLS.Clone()
	s.TLSConfig.NextProtos = []string{"http/1.1"}
	err := s.ServeTLS(n.door, "", "")
	if errors.Is(err, http.ErrServerClosed) {
		return http.ErrServerClosed
	}
	return err
}
