package doors

import (
	"sync"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// Table says which remote runtime is behind each door. Its methods may be called from many goroutines.
type Table struct {
	home string // this runtime's domain

	mu     sync.RWMutex
	nodes  map[message.URL]string        // the domain of the Message Node that a stub reaches
	direct map[message.URL]message.URL   // the runtime behind a P2P stub's door; two for each in latest
	latest map[connection][2]message.URL // the door that a stub has for a runtime, and the one before; as many as the stubs that run have peers
}

type connection struct{ stub, remote message.URL }

// NewTable makes an empty Table for a runtime of that domain.
func NewTable(domain string) *Table {
	return &Table{home: domain, nodes: map[message.URL]string{}, direct: map[message.URL]message.URL{}, latest: map[connection][2]message.URL{}}
}

// AddNode notes that the stub's door leads to the Message Node of a domain.
func (t *Table) AddNode(stub message.URL, domain string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.nodes[stub] = domain
}

// AddDirect notes that the stub's door leads to the runtime remote. The stub's door before that one also leads there until
// the next one comes: frames may still use it.
func (t *Table) AddDirect(stub, door, remote message.URL) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := connection{stub, remote}
	before := t.latest[key]
	if before[0] == door {
		return
	}
	delete(t.direct, before[1])
	t.direct[door], t.latest[key] = remote, [2]message.URL{door, before[0]}
}

// Drop forgets the doors of a stub that has ended.
func (t *Table) Drop(stub message.URL) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.nodes, stub)
	for key, both := range t.latest {
		if key.stub == stub {
			delete(t.direct, both[0])
			delete(t.direct, both[1])
			delete(t.latest, key)
		}
	}
}

// Find returns what is behind a stub's door. The zero Door: nothing.
func (t *Table) Find(stub, door message.URL) Door {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if remote := t.direct[door]; remote != "" {
		return Door{remote: remote}
	}
	domain, ok := t.nodes[stub]
	return Door{node: ok, domain: domain, home: ok && domain == t.home}
}

// Door is what is behind a door: one runtime, or a Message Node.
type Door struct {
	remote message.URL
	node   bool   // it leads to a Message Node
	domain string // the node's
	home   bool   // the node is the one of this runtime's domain
}

// Direct tells whether one runtime is behind the door.
func (d Door) Direct() bool { return d.remote != "" }

// Sender returns the runtime that sent a frame which came in by the door. peer is the runtime that a Message Node names as
// the sender. "": the node may not speak for that runtime.
//
// A runtime is reached over the node of its own domain, and reaches this one over the node of this one's domain, as a client
// of that node. So these two nodes may speak for it, and no other.
func (d Door) Sender(peer message.URL) message.URL {
	if d.remote != "" {
		return d.remote
	}
	remote := peer.Runtime()
	if remote == "" || !proof.KeyDerived(remote) || !d.node || !d.home && d.domain != remote.NodeDomain() {
		return ""
	}
	return remote
}
