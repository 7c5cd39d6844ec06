package web

import (
	"encoding/json"
	"net/http"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
)

// descriptor serves the descriptor of the domain's Message Node stub, which runtimes of any domain look up.
func (s *Server) descriptor(w http.ResponseWriter, r *http.Request) {
	url := s.o.PublicURL
	if url == "" {
		scheme := "ws"
		if s.o.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" && s.o.Insecure {
			scheme = "wss"
		}
		url = scheme + "://" + r.Host + wire.Path
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"name": "default", "type": "node", "configuration": map[string]string{"url": url}})
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	status := "ok"
	switch {
	case !s.o.Connected():
		w.WriteHeader(http.StatusServiceUnavailable)
		status = "no connection to NATS"
	case s.o.Writes.DiskFull():
		status = "the disk is full: nothing new is written"
	}
	json.NewEncoder(w).Encode(map[string]any{"status": status, "domain": s.o.Domain, "connections": s.o.Conns.Len(),
		"refusedAtNATS": s.o.Router.Strange()})
}
