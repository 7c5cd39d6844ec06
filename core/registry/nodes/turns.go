package nodes

import (
	"sync"
	"time"
)

const (
	turnPause = 500 * time.Millisecond // between two Message Nodes that are reached because of remote runtimes
	turnBurst = 8                      // of them at once
)

// turns limits how fast Message Nodes are reached because of remote runtimes. Any goroutine uses it.
type turns struct {
	mu   sync.Mutex
	next time.Time // when the last granted turn is used up, at one each turnPause
}

// take grants a turn and says how long to wait for it; false: the wait would be longer than limit.
func (t *turns) take(now time.Time, limit time.Duration) (wait time.Duration, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next.Before(now) {
		t.next = now
	}
	wait = max(t.next.Sub(now)-turnBurst*turnPause, 0)
	if wait > limit {
		return 0, false
	}
	t.next = t.next.Add(turnPause)
	return wait, true
}
