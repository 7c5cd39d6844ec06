package nodes

import (
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// Cause is why a Message Node is reached.
type Cause uint8

// The causes.
const (
	Ours   Cause = iota // an application here, or the operator
	Theirs              // a remote runtime: a claim to an address, an answer to it, or an update that it has subscribed to
)

// Node is a Message Node's stub, deployed or on its way. Only the writer uses its fields.
type Node struct {
	Domain string
	URL    message.URL
	Ready  chan struct{} // closed when the deployment is over
	Err    error         // of the last deployment

	failures int
	retryAt  time.Time
	wanted   map[message.URL]struct{} // remote runtimes that have no way until it runs; maxWanted
	runs     bool
	way      *way // what other goroutines see of it while it runs
}

const maxWanted = 1024

// way is what all goroutines see of a running stub.
type way struct {
	url    message.URL
	theirs atomic.Bool // deployed because of remote runtimes, and no message of this one's own has needed it
	used   atomic.Bool // since the last call of Idle
}

// ways are stubs by domain. It is replaced, never changed.
type ways map[string]*way

// use notes a use, and for whom. Where that changes nothing, it costs two reads.
func (w *way) use(c Cause) {
	if !w.used.Load() {
		w.used.Store(true)
	}
	if c == Ours && w.theirs.Load() {
		w.theirs.Store(false)
	}
}

// theirs tells whether the stub runs because of remote runtimes alone.
func (n *Node) theirs() bool { return n.way.theirs.Load() }

func newNode(domain string, url message.URL, c Cause) *Node {
	n := &Node{Domain: domain, URL: url, wanted: map[message.URL]struct{}{}, way: &way{url: url}}
	n.way.theirs.Store(c == Theirs)
	n.way.used.Store(true)
	return n
}

// Runs tells whether the stub runs.
func (n *Node) Runs() bool { return n.runs }

// Want notes that a remote runtime has no way until the stub runs: Deployed returns it.
func (n *Node) Want(remote message.URL) {
	if len(n.wanted) < maxWanted {
		n.wanted[remote] = struct{}{}
	}
}
