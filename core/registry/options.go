package registry

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/registry/connections"
	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/logs"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// Bus is what the Registry needs of the MessageBus.
type Bus interface {
	message.Bus
	// Forward sends every message for the address at also to the remote runtime, until stop is called.
	Forward(at, remote message.URL) (stop func())
	// Reply posts a response and does not wait for its receiver.
	Reply(m message.Message)
}

// Deployment is a stub that the Registry wants to have: a Requester (Plugin, Remote, Handler are set) or a Message
// Node stub (Domain is set).
type Deployment struct {
	URL     message.URL // the stub's own
	Role    sdk.Role
	Plugin  string      // RoleRequester: the plug-in's name; RoleNode: "", the deployer knows the plug-in
	Domain  string      // RoleNode: whose Message Node; RoleRequester: the remote runtime's domain
	Remote  message.URL // RoleRequester
	Handler message.URL // RoleRequester: the remote runtime's Handler
}

// Deployer starts and ends instances of stubs.
type Deployer interface {
	// Deploy returns when the instance runs (it may not have connected yet), or with the reason why not.
	Deploy(ctx context.Context, d Deployment) error
	// Undeploy ends the instance. It is no error if there is none.
	Undeploy(ctx context.Context, stub message.URL) error
}

// Handler is a P2P Handler: the plug-in's name and where it listens.
type Handler = directory.Handler

// P2POptions are about P2P connections: Prefer and Connects, and times. The Registry sets Self, Commanded and Passive.
type P2POptions = connections.Options

// CacheOptions are about what is known of remote runtimes. The Registry sets May.
type CacheOptions = directory.Options

// Policy says when a P2P connection is set up.
type Policy string

// The policies. The P2P field of a message overrides Auto and Requested, but not Never, which is the operator's decision.
const (
	Auto      Policy = "auto"      // the zero value too: for every message that does not forbid it
	Requested Policy = "requested" // only for a message that asks for it
	Never     Policy = "never"     // this runtime requests none; it still answers others' requests
	Commanded Policy = "commanded" // only as its own components and hyperties command, see command; for tests of the ways
)

// Options are what a Registry is made from. Runtime, Domain and Bus are required, and Deployer where stubs are to be deployed
// on demand. Every other zero value is a default.
type Options struct {
	Runtime  message.URL // this runtime
	Domain   string      // its domain
	Bus      Bus
	Deployer Deployer
	Handlers []Handler // this runtime's P2P Handlers, in the order in which they are offered; deployed by the wiring
	Policy   Policy
	Log      hclog.Logger
	Peers    *logs.Peers // limits the lines about remote runtimes; nil: nothing does
	Trace    *trace.Hub

	P2P     P2POptions
	Cache   CacheOptions
	Trust   Trust
	Nodes   NodeOptions
	Lookups LookupOptions
	Own     OwnOptions
	Changes ChangesOptions

	// Sandbox passes a message to the MiniBus of a stub. It serves messages that are addressed to a Handler's door itself;
	// without it they are refused.
	Sandbox func(ctx context.Context, stub message.URL, m message.Message) error
	// PathChanged is called when the best way to a remote runtime has changed: a P2P connection became live or ended, or the
	// Message Node stub that was missing runs. The zero Route says that there is no way now. Resolve gives the new way before
	// the state of the connection is published: so a message that is posted after "live" was published takes the P2P
	// connection while that lasts. Calls come one at a time, and report the latest state, not every step.
	PathChanged func(remote message.URL, route bus.Route)
	// Moved is told of addresses that somebody else may have now, or nobody. It must not wait. It may be nil.
	Moved func(address message.URL)
}

// Trust has the decisions about entries at Domain Registries, and the signing of this runtime's own.
type Trust struct {
	// Owner says whether a hyperty may be at a runtime. certain: an entry of its Domain Registry that is believed says that
	// it is. The error says what to do. It must be quick where certain is false. Without it every such entry is accepted.
	Owner func(name, runtime message.URL, certain bool) error
	// Unsigned says whether unsigned entries of that runtime are believed: it has no sessions, and the operator allows it. It
	// is not asked about runtimes whose address is derived from a key, see [proof.KeyDerived]: those sign. Without it no
	// unsigned entry is believed.
	Unsigned func(runtime message.URL) bool
	// SignEntry returns the runtime's signature of its own entry at the Domain Registry. Without it entries are not signed,
	// and other runtimes ignore them unless their operators allow unsigned ones.
	SignEntry func(e proof.Entry, issued, expires time.Time) *proof.EntryProof
	// MayFind says whether a search may give a hyperty at a runtime. It must be quick. Without it every hyperty is given.
	MayFind   func(name, runtime message.URL) bool
	ProofTime time.Duration // how long a signature of an entry is valid; 24 h; renewed when half of it is over
}

// NodeOptions are about Message Nodes' stubs.
type NodeOptions struct {
	Max     int           // number of stubs; 64. At most half of them because of remote runtimes
	Timeout time.Duration // for one to be deployed; 10 s
	Idle    time.Duration // how long a stub that was deployed because of remote runtimes is kept without use; 5 min
	// Back is called when a stub is live again after it was not: messages that went over it meanwhile are lost.
	Back func(stub message.URL)
	// State is told whether the Message Node of a domain is connected, each time that its stub says so. It must not wait. It may be nil.
	State func(domain string, live bool)
	// Named says whether the operator has named the Message Node of that domain: then remote runtimes may have it reached as
	// this runtime's own messages may. Without it only the node of Domain counts as named.
	Named func(domain string) bool
	// Came returns the stub by which the last frames of a remote runtime came, if the runtime has proven itself: then answers
	// go back that way rather than to the node of a domain that nobody here uses. Without it they do not.
	Came func(remote message.URL) (stub message.URL, ok bool)
	// InUse says whether anything has gone over a stub within a time. Without it only what the Registry has seen itself
	// counts.
	InUse func(stub message.URL, within time.Duration) bool
}

// LookupOptions are about look-ups at Domain Registries.
type LookupOptions struct {
	Timeout  time.Duration // of a request to a function of a node; 5 s
	MissTime time.Duration // how long a refusal of the Domain Registry is remembered; 1 s
	Max      int           // at a time; 1024
}

// OwnOptions are about what is registered in this runtime.
type OwnOptions struct {
	Max       int           // hyperties and data objects; 2^17
	Expires   time.Duration // of entries at the Domain Registry; 3600 s, at most that; refreshed every Expires/2.2
	PoolBlock int           // addresses fetched at once; 8
	// GivenUp is called with an address of this runtime that was given up, when nothing is posted from there any more. It
	// must not wait. It may be nil.
	GivenUp func(address message.URL)
}

// ChangesOptions are about /registry/changes.
type ChangesOptions struct {
	Off bool // neither publish nor follow, see [Registry.SetChanges]
}

// withDefaults has all defaults, but for those of P2P and Cache, which the packages of these options have.
func (o Options) withDefaults() Options {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.Trust.ProofTime, 24 * time.Hour}, {&o.Nodes.Timeout, 10 * time.Second}, {&o.Nodes.Idle, 5 * time.Minute},
		{&o.Lookups.Timeout, 5 * time.Second}, {&o.Lookups.MissTime, time.Second}, {&o.Own.Expires, time.Hour},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *int
		value int
	}{{&o.Nodes.Max, 64}, {&o.Lookups.Max, 1024}, {&o.Own.Max, 1 << 17}, {&o.Own.PoolBlock, 8}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	o.Own.Expires, o.Trust.ProofTime = min(o.Own.Expires, time.Hour), min(o.Trust.ProofTime, proof.MaxEntryLifetime)
	o.Runtime = o.Runtime.Canonical()
	if o.Policy == "" {
		o.Policy = Auto
	}
	if o.Trust.Owner == nil {
		o.Trust.Owner = func(_, _ message.URL, _ bool) error { return nil }
	}
	if o.Trust.Unsigned == nil {
		o.Trust.Unsigned = func(message.URL) bool { return false }
	}
	if o.Nodes.Came == nil {
		o.Nodes.Came = func(message.URL) (message.URL, bool) { return "", false }
	}
	if o.Nodes.InUse == nil {
		o.Nodes.InUse = func(message.URL, time.Duration) bool { return false }
	}
	if o.Nodes.Back == nil {
		o.Nodes.Back = func(message.URL) {}
	}
	if o.Own.GivenUp == nil {
		o.Own.GivenUp = func(message.URL) {}
	}
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	o.P2P = o.P2P.WithDefaults()
	o.P2P.Self, o.P2P.Commanded, o.P2P.Passive = o.Runtime, o.Policy == Commanded, o.Deployer == nil
	o.Cache = o.Cache.WithDefaults()
	owner := o.Trust.Owner
	o.Cache.May = func(address, runtime message.URL) bool { return owner(address, runtime, false) == nil }
	return o
}

// Fixed times and bounds that nobody needs to change.
const (
	queueLen       = 1024                   // tasks that wait for the loop
	stopTimeout    = 5 * time.Second        // for a stub to end
	releaseTimeout = 2 * time.Second        // for telling the node on Close what has gone
	tellTimeout    = 2 * time.Second        // for a stub to answer an execute
	tellPause      = 300 * time.Millisecond // before an execute is repeated

	// Limits of look-ups that remote runtimes cause: how many of one runtime at the same time; then, of one runtime and of
	// all together, how many per second and how many at once before that rate holds. A node allows a runtime 1000 per second
	// and 10,000 at once.
	askerAtOnce             = 32
	askerRate, askerBurst   = 128, 1024
	askersRate, askersBurst = 500, 4096
)
