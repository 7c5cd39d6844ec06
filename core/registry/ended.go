package registry

import (
	"context"
	"sync"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// What a runtime has given up is no longer its own: nobody here sends to it, and others may claim it. Messages from there that
// came before may still wait for their listeners, and are its own all the same. So it is remembered for a while whose it was.
const (
	endedTime = 2 * time.Minute
	maxEnded  = 4096 // addresses; the older half goes
)

// givenUp is what runtimes have lately given up. The zero value is nothing.
type givenUp struct {
	mu         sync.Mutex
	young, old map[message.URL]ending // maxEnded/2 each
}

type ending struct {
	runtime message.URL
	at      time.Time
}

func (g *givenUp) add(key, runtime message.URL, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.young == nil || len(g.young) >= maxEnded/2 {
		g.young, g.old = map[message.URL]ending{}, g.young
	}
	g.young[key] = ending{runtime, now}
}

// of tells whether the runtime has lately had the address, and nobody after it.
func (g *givenUp) of(key, runtime message.URL, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	last, ok := g.young[key]
	if !ok {
		last, ok = g.old[key]
	}
	return ok && last.runtime == runtime && now.Sub(last.at) < endedTime
}

// Ended takes what the runtime remote says inside its session of addresses that it has given up; see [Registry.Announced].
func (r *Registry) Ended(ctx context.Context, remoteURL message.URL, addresses []message.URL) {
	_ = r.ask(ctx, func() { // an error: this runtime ends
		rem, known := r.remotes.get(remoteURL.Canonical())
		if !known {
			return
		}
		for _, u := range addresses {
			r.unlist(rem, addressKey(u))
		}
	})
}
