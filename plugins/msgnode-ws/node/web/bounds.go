package web

import (
	"net/http"
	"strconv"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
)

// bounded serves connections and requests that are within their bounds by next. It refuses the others, with the time to come
// again.
func (s *Server) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k := netConnOf(r)
		if k == nil {
			http.Error(w, "no connection", http.StatusInternalServerError)
			return
		}
		v := k.verdict
		from := s.o.Sources.Client(r)
		if v == quota.Welcome {
			v = s.o.Listener.settle(k.ticket, from)
		}
		switch v {
		case quota.Crowded:
			later(w, http.StatusTooManyRequests, comeAgain, "your address has "+strconv.Itoa(s.o.Limits.PerAddress)+" connections to the node, no more are allowed")
			return
		case quota.Hasty:
			later(w, http.StatusTooManyRequests, comeAgain, "too many connections from your address, one after the other")
			return
		case quota.Overfull:
			later(w, http.StatusServiceUnavailable, comeAgain, "too many connections have not said yet who they are")
			return
		}
		if webSocket := r.URL.Path == wire.Path || r.URL.Path == PathPlain || r.URL.Path == PathSession; from.IsValid() && !webSocket {
			if wait, ok := s.o.Rates.Request(from, time.Now()); !ok {
				later(w, http.StatusTooManyRequests, wait, "too many requests from your address")
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
