package registry

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/core/registry/table"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// local is a hyperty or data object of this runtime. It is immutable but for the time of its last proof.
type local struct {
	url       message.URL
	reporter  message.URL // "" of a hyperty
	name      string
	user      message.URL
	schema    message.URL
	private   bool
	named     bool // by wish: the address stays this runtime's
	ephemeral bool // below the runtime's own address: nobody else knows of it
	since     time.Time
	entry     localEntry   // without its proof
	signed    atomic.Int64 // when the proof at the Domain Registry was issued, Unix milliseconds
	ungranted atomic.Bool  // the node has not allocated the address yet: it was away
	released  atomic.Bool  // the name is not to stay this runtime's
}

// localEntry is an entry as the Domain Registry takes it (specification, "Domain Registry").
type localEntry struct {
	proof.Entry
	Expires      int               `json:"expires"`
	Status       string            `json:"status"`
	P2PHandler   message.URL       `json:"p2pHandler,omitempty"`
	P2PRequester message.URL       `json:"p2pRequester,omitempty"`
	Proof        *proof.EntryProof `json:"proof,omitempty"`
}

// locals are the hyperties and data objects of this runtime. Any goroutine reads them, the loop writes.
type locals struct {
	runtime   message.URL
	ephemeral string // what the addresses of hyperties begin with that nobody is told of
	known     *table.Table[*local]
}

func newLocals(runtime message.URL) *locals {
	return &locals{runtime: runtime, ephemeral: string(runtime.Join("hyperty")) + "/", known: table.New[*local]()}
}

func (t *locals) get(url message.URL) (*local, bool) { return t.known.Get(url.Canonical()) }

// has tells whether u belongs to this runtime: is one of its components, or registered here.
func (t *locals) has(u message.URL) bool {
	if u.IsRuntime() {
		return u.Runtime() == t.runtime
	}
	_, ok := t.known.Get(directory.Key(u))
	return ok
}

// gone tells whether u is of an ephemeral hyperty that is not registered, or not any more.
func (t *locals) gone(u message.URL) bool {
	u = u.Canonical()
	if !strings.HasPrefix(string(u), t.ephemeral) {
		return false
	}
	if i := strings.IndexByte(string(u[len(t.ephemeral):]), '/'); i >= 0 {
		u = u[:len(t.ephemeral)+i]
	}
	_, ok := t.known.Get(u)
	return !ok
}

// isReporter tells whether url may report data objects: a component, or a hyperty that is registered here.
func (t *locals) isReporter(url message.URL) bool {
	if url.Within(t.runtime) {
		return !t.gone(url)
	}
	l, ok := t.get(url)
	return ok && l.reporter == ""
}

// each calls f for each local. It runs in the loop.
func (t *locals) each(f func(*local)) {
	t.known.Each(0, table.Shards, func(in *table.Item[*local]) bool {
		f(in.Value)
		return true
	})
}

// public returns the hyperties and objects that are not private; never nil. It runs in the loop.
func (t *locals) public() []*local {
	list := make([]*local, 0, t.known.Len())
	t.each(func(l *local) {
		if !l.private {
			list = append(list, l)
		}
	})
	return list
}

// publicURLs returns their addresses; never nil. It runs in the loop.
func (t *locals) publicURLs() []message.URL {
	urls := make([]message.URL, 0, t.known.Len())
	for _, l := range t.public() {
		urls = append(urls, l.url.Canonical())
	}
	return urls
}
