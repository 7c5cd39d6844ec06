package web

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/limits"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/rates"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
)

// Listener is the node's listener: it counts connections from the moment that they are made until they are closed, whatever is
// sent on them. A connection beyond a bound gets a response 429 or 503 where that costs little, else it is closed.
type Listener struct {
	net.Listener
	sources quota.Sources
	rates   *rates.Rates
	tls     bool // a refusal cannot be sent before a handshake, which costs more than it is worth

	refusing atomic.Int32 // connections beyond a bound that get their response now

	mu   sync.Mutex
	gate *quota.Connections
}

// NewListener counts the connections of a listener; tls says that nothing can be sent on one before a handshake.
func NewListener(l net.Listener, s quota.Sources, r *rates.Rates, most limits.Limits, tls bool) *Listener {
	return &Listener{Listener: l, sources: s, rates: r, tls: tls, gate: quota.NewConnections(most.Unproven, most.PerAddress, most.Connections)}
}

// Held is how many connections wait to show their runtime, and how many are attached.
func (l *Listener) Held() (waiting, attached int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gate.Held()
}

const (
	maxRefusing = 64              // connections beyond a bound that get their response at the same time
	refusalTime = 2 * time.Second // how long one of them has to read it
	comeAgain   = 5 * time.Second // after which it should try again
)

// netConn is a connection that the listener has counted.
type netConn struct {
	net.Conn
	listener *Listener
	ticket   *quota.Ticket
	verdict  quota.Verdict
	once     sync.Once
	timer    *time.Timer // ends a refused one
}

// Accept waits for the next connection; see net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
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

// mayRefuse takes one of the places for connections that get a response with the reason.
func (l *Listener) mayRefuse() bool {
	if l.refusing.Add(1) > maxRefusing {
		l.refusing.Add(-1)
		return false
	}
	return true
}

// arrive decides about a new connection.
func (l *Listener) arrive(t *quota.Ticket) quota.Verdict {
	if t.From.IsValid() {
		if !l.rates.Arrive(t.From, t.Since) {
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

// Enter attaches the connection: it waits no longer. False: the node has as many as it may. kick is called when the connection
// has to make room.
func (l *Listener) Enter(t *quota.Ticket, replaces bool, kick func()) bool {
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
func (l *Listener) settle(t *quota.Ticket, from quota.Source) quota.Verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gate.Move(t, from)
}

func (l *Listener) full(from quota.Source) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gate.Full(from)
}

// netConnKey is the key of a request's connection in its context.
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

// later answers that a request may be made again after a while.
func later(w http.ResponseWriter, status int, wait time.Duration, text string) {
	w.Header().Set("Retry-After", strconv.Itoa(refusal.Seconds(wait)))
	w.Header().Set("Connection", "close")
	http.Error(w, text, status)
}
