package web

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
)

// server is the node's HTTP server. It speaks HTTP/1.1 only: HTTP/2 carries no WebSocket that a stub would use, and many
// requests at once on one connection that is counted as one.
func (s *Server) server() *http.Server {
	t := s.o.Times
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	return &http.Server{Handler: s.bounded(s.handler()), ConnContext: withNetConn, Protocols: protocols, MaxHeaderBytes: 16 << 10,
		// These times hold for a request, its answer, and the TLS handshake before; not for a WebSocket any more.
		ReadHeaderTimeout: t.Handshake, ReadTimeout: t.Handshake, WriteTimeout: t.Handshake, IdleTimeout: t.Handshake,
		ErrorLog: s.o.Log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug})}
}

// Serve answers connections until ctx ends. The error is the HTTP server's, if it ended before.
func (s *Server) Serve(ctx context.Context) error {
	server, done := s.server(), make(chan error, 1)
	go func() { done <- s.run(server) }()
	select {
	case <-ctx.Done():
		server.Close()
		<-done
		return nil
	case err := <-done:
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	}
}

func (s *Server) run(server *http.Server) error {
	if s.o.TLS == nil {
		return server.Serve(s.o.Listener)
	}
	server.TLSConfig = s.o.TLS.Clone()
	server.TLSConfig.NextProtos = []string{"http/1.1"}
	server.TLSConfig.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) { // before the handshake costs anything
		from, _ := s.o.Sources.Remote(h.Conn.RemoteAddr().String())
		s.o.Rates.PaceHandshake(s.o.Context, from)
		if choose := s.o.TLS.GetConfigForClient; choose != nil {
			return choose(h)
		}
		return nil, nil
	}
	return server.ServeTLS(s.o.Listener, "", "")
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+wire.Path, s.acceptBinary)
	mux.HandleFunc("GET "+PathPlain, s.acceptPlain)
	mux.HandleFunc("GET "+PathSession, s.acceptSession)
	mux.HandleFunc("GET "+PathDescriptor, s.descriptor)
	mux.HandleFunc("GET "+PathHealth, s.health)
	return mux
}
