package nodes

import (
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// Options are the bounds of Nodes. Self and Domain are required; another zero value is a default.
type Options struct {
	Self   message.URL // this runtime
	Domain string      // its domain
	Max    int         // number of stubs; 64. At most half of them because of remote runtimes
	// Named says whether the operator has named the Message Node of that domain: then remote runtimes may have it reached as
	// this runtime's own messages may. Without it only the node of Domain counts as named.
	Named func(domain string) bool
	// Pause returns the time before a stub that could not be deployed is tried again, after n failures in a row.
	Pause func(n int) time.Duration
	// NoDeployer says that nobody can deploy stubs.
	NoDeployer bool
}

// Nodes are the Message Nodes' stubs. Make them with [New].
type Nodes struct {
	opts  Options
	ways  atomic.Pointer[ways] // the stubs that run
	turns turns

	byDomain map[string]*Node // only the writer uses it
}

// New makes Nodes without stubs.
func New(o Options) *Nodes {
	if o.Max <= 0 {
		o.Max = 64
	}
	if o.Named == nil {
		o.Named = func(string) bool { return false }
	}
	if o.Pause == nil {
		o.Pause = func(int) time.Duration { return time.Second }
	}
	n := &Nodes{opts: o, byDomain: map[string]*Node{}}
	n.ways.Store(&ways{})
	return n
}

// Now returns the stub of domain's Message Node, if it runs. (It need not be connected: it connects by itself.) Any goroutine
// calls it.
func (s *Nodes) Now(domain string, c Cause) (message.URL, bool) {
	way, ok := (*s.ways.Load())[domain]
	if !ok {
		return "", false
	}
	way.use(c)
	return way.url, true
}

// At returns c, or Ours where this runtime's operator has named the domain. Any goroutine calls it.
func (s *Nodes) At(domain string, c Cause) Cause {
	if domain == s.opts.Domain || s.opts.Named(domain) {
		return Ours
	}
	return c
}

// Get returns the stub of domain's Message Node, deployed or on its way.
func (s *Nodes) Get(domain string) (*Node, bool) {
	n, ok := s.byDomain[domain]
	return n, ok
}

// Begun tells whether Reach would start nothing for domain: the stub of its Message Node runs, is on its way, or has failed a
// moment ago.
func (s *Nodes) Begun(now time.Time, domain string) bool {
	n := s.byDomain[domain]
	return n != nil && (n.Err == nil || now.Before(n.retryAt))
}

// Dropped is a stub that is not used any more.
type Dropped struct {
	Domain   string
	Stub     message.URL
	Undeploy bool // it runs, and is to be undeployed
}

// Plan says what to do so that a stub runs: first drop those that make room, then deploy it.
type Plan struct {
	Node   *Node
	Drop   []Dropped
	Deploy bool // start its deployment, and call Deployed when it is over
}

// Reach plans the deployment of the stub of domain's Message Node, unless it runs, is on its way, or has failed a moment ago.
// The error is a *message.ResponseError that says why it cannot be deployed.
func (s *Nodes) Reach(now time.Time, domain string, c Cause) (p Plan, err error) {
	n := s.byDomain[domain]
	if n != nil {
		n.way.use(c)
	}
	if s.Begun(now, domain) {
		return Plan{Node: n}, nil
	}
	if s.opts.NoDeployer {
		return p, s.refuse(message.CodeUnavailable, "no stub of the Message Node of %s is deployed", domain)
	}
	if n == nil {
		if p.Drop, err = s.room(domain, c); err != nil {
			return p, err
		}
		url, err := message.ParseURL(string(s.opts.Self.Join("protostub", domain)))
		if err != nil {
			return p, s.refuse(message.CodeBadRequest, "%q is no domain: %v", domain, err)
		}
		n = newNode(domain, url, c)
		s.byDomain[domain] = n
	}
	n.Err, n.Ready = nil, make(chan struct{})
	p.Node, p.Deploy = n, true
	return p, nil
}

// Deployed says that a deployment has ended, and closes Ready. It returns the remote runtimes that have a way now.
func (s *Nodes) Deployed(now time.Time, n *Node, err error) (reached []message.URL) {
	defer close(n.Ready)
	if err != nil {
		n.Err = err
		n.failures++
		n.retryAt = now.Add(min(s.opts.Pause(n.failures), 10*time.Second))
		return nil
	}
	n.failures = 0
	return s.run(n)
}

// Add adds a running stub that the wiring has deployed. It returns the remote runtimes that have a way now.
func (s *Nodes) Add(domain string, url message.URL) (reached []message.URL) {
	n := newNode(domain, url, Ours)
	n.Ready = make(chan struct{})
	close(n.Ready)
	if old := s.byDomain[domain]; old != nil {
		n.wanted = old.wanted
	}
	s.byDomain[domain] = n
	return s.run(n)
}

// run shows all goroutines that a stub runs.
func (s *Nodes) run(n *Node) (reached []message.URL) {
	next := maps.Clone(*s.ways.Load())
	n.runs = true
	next[n.Domain] = n.way
	s.ways.Store(&next)
	for remote := range n.wanted {
		reached = append(reached, remote)
	}
	clear(n.wanted)
	return reached
}

// drop removes a stub.
func (s *Nodes) drop(n *Node, undeploy bool) Dropped {
	delete(s.byDomain, n.Domain)
	if _, runs := (*s.ways.Load())[n.Domain]; runs {
		next := maps.Clone(*s.ways.Load())
		delete(next, n.Domain)
		s.ways.Store(&next)
	}
	return Dropped{n.Domain, n.URL, undeploy}
}

// Idle drops stubs that run because of remote runtimes alone, have not been used since the last call, and are not in use by
// inUse's answer.
func (s *Nodes) Idle(inUse func(stub message.URL) bool) (dropped []Dropped) {
	for _, n := range s.byDomain {
		used := n.way.used.Swap(false)
		if (n.Err != nil || n.runs) && !used && n.theirs() && !inUse(n.URL) {
			dropped = append(dropped, s.drop(n, n.Err == nil))
		}
	}
	return dropped
}

func (s *Nodes) refuse(code int, format string, args ...any) error {
	return &message.ResponseError{Code: code, From: s.opts.Self.Join("registry"), Description: fmt.Sprintf(format, args...)}
}

// Turn grants that domain's Message Node is reached because of a remote runtime, after a wait. If the wait would be longer
// than limit, or there are too many such nodes, the error is a *message.ResponseError. So remote runtimes can neither have
// stubs started as fast as they like nor take all the room for them. Any goroutine calls it.
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

// TurnNow is Turn for a caller that does not wait, and asks again later.
func (s *Nodes) TurnNow(now time.Time) bool {
	_, ok := s.turns.take(now, 0)
	return ok
}

// mostTheirs is how many stubs may run because of remote runtimes.
func (s *Nodes) mostTheirs() int { return max(s.opts.Max/2, 1) }

func (s *Nodes) refuseTheirs(domain string) error {
	return s.refuse(message.CodeTooMany, "this runtime uses many Message Nodes: it reaches %s only for its own messages", domain)
}

// room makes room for one more stub, by dropping one that has failed if need be; the error says why it cannot.
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

// dropOne drops one stub for which may returns true.
func (s *Nodes) dropOne(may func(*Node) bool) []Dropped {
	for _, n := range s.byDomain {
		if may(n) {
			return []Dropped{s.drop(n, false)}
		}
	}
	return nil
}
