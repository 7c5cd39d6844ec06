package directory

import (
	"sync"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

const (
	endedTime = 2 * time.Minute
	maxEnded  = 4096 // addresses; beyond that the older half is forgotten
)

// givenUp remembers which addresses runtimes have given up lately. The zero value is empty. Any goroutine reads it.
type givenUp struct {
	mu         sync.Mutex
	young, old map[message.URL]ending // maxEnded/2 each
}

type ending struct {
	runtime message.URL
	led     bool // messages went there without another look at the Domain Registry
	at      time.Time
}

func (g *givenUp) add(key, runtime message.URL, led bool, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.young == nil || len(g.young) >= maxEnded/2 {
		g.young, g.old = map[message.URL]ending{}, g.young
	}
	g.young[key] = ending{runtime, led, now}
}

func (g *givenUp) of(key, runtime message.URL, now time.Time) (its, led bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	last, ok := g.young[key]
	if !ok {
		last, ok = g.old[key]
	}
	its = ok && last.runtime == runtime && now.Sub(last.at) < endedTime
	return its, its && last.led
}
