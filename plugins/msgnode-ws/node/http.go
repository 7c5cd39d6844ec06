package node

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
)

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

// Paths of the HTTP server, besides [wire.Path].
const (
	pathPlain      = "/stub/connect"
	pathSession    = "/ws"
	pathDescriptor = "/.well-known/protocolstub/default"
	pathHealth     = "/healthz"
)

func (n *Node) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+wire.Path, n.acceptBinary)
	mux.HandleFunc("GET "+pathPlain, n.acceptPlain)
	mux.HandleFunc("GET "+pathSession, n.acceptSession)
	mux.HandleFunc("GET "+pathDescriptor, n.descriptor)
	mux.HandleFunc("GET "+pathHealth, n.health)
	return mux
}

// descriptor is the domain's Message Node stub, as a runtime of any domain looks it up.
func (n *Node) descriptor(w http.ResponseWriter, r *http.Request) {
	url := n.opts.PublicURL
	if url == "" {
		scheme := "ws"
		if n.opts.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" && n.opts.Insecure {
			scheme = "wss"
		}
		url = scheme + "://" + r.Host + wire.Path
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"name": "default", "type": "node", "configuration": map[string]string{"url": url}})
}

func (n *Node) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	status := "ok"
	switch {
	case !n.backbone.Connected():
		w.WriteHeader(http.StatusServiceUnavailable)
		status = "no connection to NATS"
	case n.full():
		status = "the disk is full: nothing new is written"
	}
	json.NewEncoder(w).Encode(map[string]any{"status": status, "domain": n.opts.Domain, "connections": n.connections(),
		"refusedAtNATS": n.strange.Load()})
}
