package registry

import (
	"context"
	"sync/atomic"

	"github.com/protofly/protofly/core/admission"
	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/registry/changes"
	"github.com/protofly/protofly/core/registry/connections"
	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/core/registry/entries"
	"github.com/protofly/protofly/core/registry/lookups"
	"github.com/protofly/protofly/core/registry/loop"
	"github.com/protofly/protofly/core/registry/nodes"
	"github.com/protofly/protofly/core/registry/ownnode"
	"github.com/protofly/protofly/core/registry/table"
	"github.com/protofly/protofly/sdk/message"
)

// Registry is the runtime's Registry. Make it with [New], then [Registry.Start] it before anything else is called.
type Registry struct {
	opts    Options
	url     message.URL // <runtime>/registry
	changes message.URL // <runtime>/registry/changes
	loop    *loop.Loop
	call    *caller

	// Written by the loop, read by any goroutine.
	directory *directory.Directory // remote runtimes and their addresses
	locals    *locals              // hyperties and data objects of this runtime
	stubs     *stubs               // stubs of this runtime
	nodes     *nodes.Nodes         // Message Nodes' stubs, and for whom they run

	// The loop's own.
	peers     *connections.Peers
	due       *loop.Appointment      // for the next call of peers.Tick
	doors     map[message.URL]func() // ends the listener of a door that is open
	publisher *changes.Publisher     // this runtime's /registry/changes
	forwards  map[message.URL]func() // ends the forwarding of updates to a follower
	following *followings            // /registry/changes of others

	// Used by any goroutine.
	outbox  *changes.Outbox
	own     *ownnode.Node[*local]
	lookups *lookups.Lookups[*directory.Runtime]
	askers  admission.Gate // limits the look-ups that remote runtimes cause; confirm uses its Pace alone
	beliefs *entries.Beliefs
	issued  atomic.Int64 // when this runtime's last proof was issued, Unix milliseconds
	notices notices
	stops   []func() // of the Registry's own listeners
}

var _ bus.Resolver = (*Registry)(nil)

// ErrClosed is the error of calls to a Registry that has been closed.
var ErrClosed = loop.ErrClosed

// New makes a Registry. It does nothing until it is started.
func New(o Options) *Registry {
	o = o.withDefaults()
	r := &Registry{opts: o, url: o.Runtime.Join("registry"), loop: loop.New(queueLen), outbox: changes.NewOutbox(),
		doors: map[message.URL]func(){}, forwards: map[message.URL]func(){}}
	r.changes = r.url.Join("changes")
	r.call = &caller{Bus: o.Bus, url: r.url, timeout: o.Lookups.Timeout, log: o.Log}
	r.directory = directory.New(o.Cache)
	r.locals = newLocals(o.Runtime)
	r.stubs = &stubs{loop: r.loop, call: r.call, deployer: o.Deployer, known: table.New[*stub](), leaving: table.New[*stub]()}
	r.peers = connections.New(o.P2P)
	r.nodes = nodes.New(nodes.Options{Self: o.Runtime, Domain: o.Domain, Max: o.Nodes.Max, Named: o.Nodes.Named, NoDeployer: o.Deployer == nil,
		Pause: o.P2P.Pause})
	r.publisher = changes.NewPublisher(r.url, !o.Changes.Off, r.outbox, r.locals.publicURLs)
	r.following = &followings{on: !o.Changes.Off, by: map[message.URL]*following{}}
	r.own = ownnode.New[*local](ownnode.Options{Domain: o.Domain, PoolBlock: o.Own.PoolBlock, Request: r.call.request})
	r.lookups = lookups.New[*directory.Runtime](o.Lookups.Max, o.Lookups.MissTime)
	r.askers = admission.Gate{Each: askerAtOnce, All: make(chan struct{}, max(o.Lookups.Max/2, 1)),
		Pace: admission.NewPace(admission.Rate{PerSecond: askerRate, Burst: askerBurst}, admission.Rate{PerSecond: askersRate, Burst: askersBurst})}
	r.beliefs = entries.NewBeliefs(entries.Options{Owner: o.Trust.Owner, Unsigned: o.Trust.Unsigned, CacheTime: o.Cache.CacheTime})
	if o.PathChanged != nil {
		r.notices.wake = make(chan struct{}, 1)
	}
	return r
}

// Local tells whether u is this runtime's: one of its components, or registered here.
func (r *Registry) Local(u message.URL) bool { return r.locals.has(u) && !r.locals.gone(u) }

// ask has the loop run task and waits for it. After an error the task may still run: what it writes must not be read then.
// ask must not be called in the loop.
func (r *Registry) ask(ctx context.Context, task func()) error { return r.loop.Ask(ctx, task) }

// refuse makes the error that becomes the response to a message.
func (r *Registry) refuse(code int, format string, args ...any) error {
	return r.call.refuse(code, format, args...)
}
