package registry

import (
	"sync"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/sdk/message"
)

// notices are the remote runtimes whose best way has changed since PathChanged was told.
type notices struct {
	mu    sync.Mutex
	order []message.URL
	wake  chan struct{}
}

// changed has PathChanged called for a remote runtime. It does not wait.
func (r *Registry) changed(url message.URL) {
	if r.opts.PathChanged == nil {
		return
	}
	n := &r.notices
	n.mu.Lock()
	n.order = append(n.order, url)
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// notify calls PathChanged, for each runtime with the way that is best now.
func (r *Registry) notify() {
	for {
		select {
		case <-r.notices.wake:
		case <-r.ctx.Done():
			return
		}
		r.notices.mu.Lock()
		order := r.notices.order
		r.notices.order = nil
		r.notices.mu.Unlock()
		told := make(map[message.URL]bool, len(order))
		for _, url := range order {
			if told[url] || r.ctx.Err() != nil {
				continue
			}
			told[url] = true
			route, err := r.RouteTo(url)
			if err != nil {
				route = bus.Route{}
			}
			r.opts.PathChanged(url, route)
		}
	}
}
