package registry

import (
	"sync"

	"github.com/protofly/protofly/sdk/message"
)

// notices are the remote runtimes whose best way has changed since the last call of PathChanged. Any goroutine uses them.
type notices struct {
	mu    sync.Mutex
	order []message.URL
	wake  chan struct{} // nil: there is no PathChanged
}

// add has PathChanged called for a remote runtime. It does not wait.
func (n *notices) add(url message.URL) {
	if n.wake == nil {
		return
	}
	n.mu.Lock()
	n.order = append(n.order, url)
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// take returns each of these runtimes once, and forgets them.
func (n *notices) take() (urls []message.URL) {
	n.mu.Lock()
	order := n.order
	n.order = nil
	n.mu.Unlock()
	told := make(map[message.URL]bool, len(order))
	for _, url := range order {
		if !told[url] {
			told[url] = true
			urls = append(urls, url)
		}
	}
	return urls
}
