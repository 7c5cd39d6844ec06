package nodes

import (
	"sync"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

const (
	turnPause = 500 * time.Millisecond // between two Message Nodes that are reached because of others
	turnBurst = 8                      // of them at once
)

// turns is how fast Message Nodes are reached because of others. Any goroutine uses it.
type turns struct {
	mu   sync.Mutex
	next time.Time // when the last one that was granted is through, at one each turnPause
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

// Turn grants that domain's Message Node is reached because of others, and says after which wait; where that would be longer than limit,
// or there are too many, the error is a *message.ResponseError. So remote runtimes can neither have this one start stubs as fast as they
// please nor take all the room for them. Any goroutine calls it.
func (s *Nodes) Turn(now time.Time, domain string, limit time.Duration) (wait time.Duration, err error) {
	others := 0
	for _, way := range *s.ways.Load() {
		if way.theirs.Load() {
			others++
		}
	}
	if others >= s.mostTheirs() {
		return 0, s.refuseTheirs(domain)
	}
	wait, ok := s.turns.take(now, limit)
	if !ok {
		return 0, s.refuse(message.CodeTooMany, "too many Message Nodes of domains that nobody here uses are to be reached, that of %s among them; try again", domain)
	}
	return wait, nil
}

// TurnNow is Turn for whoever does not wait, and asks again.
func (s *Nodes) TurnNow(now time.Time) bool {
	_, ok := s.turns.take(now, 0)
	return ok
}

// mostTheirs is how many stubs there may be because of others.
func (s *Nodes) mostTheirs() int { return max(s.opts.Max/2, 1) }

func (s *Nodes) refuseTheirs(domain string) error {
	return s.refuse(message.CodeTooMany, "this runtime uses many Message Nodes: it reaches %s only for its own messages", domain)
}

// room has a stub dropped where one more may be deployed only in its place: one that has failed.
func (s *Nodes) room(domain string, c Cause) (dropped []Dropped, err error) {
	total, others := len(s.byDomain), 0
	for _, n := range s.byDomain {
		if n.theirs() {
			others++
		}
	}
	if c == Theirs && others >= s.mostTheirs() {
		if dropped = s.dropOne(func(n *Node) bool { return n.Err != nil && n.theirs() }); dropped == nil {
			return nil, s.refuseTheirs(domain)
		}
		total--
	}
	if total >= s.opts.Max {
		more := s.dropOne(func(n *Node) bool { return n.Err != nil && (c == Ours || n.theirs()) })
		if more == nil {
			return dropped, s.refuse(message.CodeTooMany, "this runtime uses %d Message Nodes already: no room for %s", s.opts.Max, domain)
		}
		dropped = append(dropped, more...)
	}
	return dropped, nil
}

// dropOne drops one stub for which may says yes.
func (s *Nodes) dropOne(may func(*Node) bool) []Dropped {
	for _, n := range s.byDomain {
		if may(n) {
			return []Dropped{s.drop(n, false)}
		}
	}
	return nil
}
