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
	// Forward has every message for the address at also go to the remote runtime, until stop is called.
	Forward(at, remote message.URL) (stop func())
	// Reply posts a response and does not wait for whoever gets it.
	Reply(m message.Message)
}

// Deployment is a stub that the Registry wants to have: a Requester (Plugin, Remote, Handler are set) or a Message
// Node stub (Domain is set).
type Deployment struct {
	URL     message.URL // the stub's own
	Role    sdk.Role
	Plugin  string      // RoleRequester: the plug-in's name; RoleNode: "", the deployer knows
	Domain  string      // RoleNode: whose Message Node; RoleRequester: the remote runtime's domain
	Remote  message.URL // RoleRequester
	Handler message.URL // RoleRequester: the remote runtime's Handler
}

// Deployer starts and ends instances of stubs.
type Deployer interface {
	// Deploy returns when the instance runs (it may not have connected yet), or with the reason why not.
	Deploy(ctx context.Context, d Deployment) error
	// Undeploy ends the instance; one that is not there is no error.
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

// The policies. A message's own P2P field comes before Auto and Requested; Never is the operator's last word.
const (
	Auto      Policy = "auto"      // the zero value too: for every message that does not forbid it
	Requested Policy = "requested" // only for a message that asks for it
	Never     Policy = "never"     // this runtime requests none; it still answers others' requests
	Commanded Policy = "commanded" // only as its own components and hyperties command, see command; for tests of the ways
)

// Options is what a Registry is made from. Runtime, Domain and Bus are required; Deployer where stubs are to be
// deployed on demand. Every other zero value is a default.
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

	// Sandbox gives a message to the MiniBus of a stub. It serves messages that are addressed to a Handler's door
	// itself; without it they are refused.
	Sandbox func(ctx context.Context, stub message.URL, m message.Message) error
	// PathChanged is called when the best way to a remote runtime has changed: a P2P connection became live or
	// ended, or the Message Node stub that was missing runs. The zero Route says that there is none now. Resolve gives the
	// new way before anybody is shown the state of the connection, and a session keeps to it until it is told or finds
	// otherwise: a message posted after "live" was told takes the P2P connection while that lasts. Calls come
	// one at a time; the latest state is reported, not every step.
	PathChanged func(remote message.URL, route bus.Route)
	// Moved is told of addresses that somebody else may have now, or nobody. It must not wait. It may be nil.
	Moved func(address message.URL)
}

// Trust is what decides about entries at Domain Registries, and how this runtime's are signed.
type Trust struct {
	// Owner says whether a hyperty may be at a runtime; certain: its Domain Registry says that it is, in an entry that is
	// to be believed. The error says what to do. It must be quick where certain is false. Without it every such entry is
	// good enough.
	Owner func(name, runtime message.URL, certain bool) error
	// Unsigned says whether entries of that runtime are believed without a signature: it is one without sessions, and the
	// operator allows it. It is not asked about runtimes whose address is derived from a key, see [proof.KeyDerived]:
	// those sign. Without it none are believed.
	Unsigned func(runtime message.URL) bool
	// SignEntry is the runtime's signature of its own entry at the Domain Registry. Without it entries are not signed, and
	// runtimes that do not know better take them for none.
	SignEntry func(e proof.Entry, issued, expires time.Time) *proof.EntryProof
	// MayFind says whether a hyperty at a runtime is given to who searches for it. It must be quick. Without it every one is.
	MayFind   func(name, runtime message.URL) bool
	ProofTime time.Duration // how long a signature of an entry holds; 24 h; made anew when half of it is over
}

// NodeOptions are about Message Nodes' stubs.
type NodeOptions struct {
	Max     int           // of them; 64. At most half of them because of remote runtimes
	Timeout time.Duration // for one to be deployed; 10 s
	Idle    time.Duration // how long one that was reached because of others is kept without use; 5 min
	// Back is called when a stub is live again after it was not: what went over it meanwhile is lost.
	Back func(stub message.URL)
	// State is told whether the Message Node of a domain is connected, each time that its stub says so. It must not wait. It may be nil.
	State func(domain string, live bool)
	// Named says whether the operator has named the Message Node of that domain, so that remote runtimes may have it
	// reached like this one's own messages. Without it none are but that of Domain.
	Named func(domain string) bool
	// Came is the stub by which the last frames of a remote runtime came that has proven itself, if they
	// did: answers go back that way rather than to the node of a domain that nobody here uses. Without it they do not.
	Came func(remote message.URL) (stub message.URL, ok bool)
	// InUse says whether anything has gone over a stub within a time. Without it only what the Registry
	// has seen counts.
	InUse func(stub message.URL, within time.Duration) bool
}

// LookupOptions are about look-ups at Domain Registries.
type LookupOptions struct {
	Timeout  time.Duration // of a request to a node's functions; 5 s
	MissTime time.Duration // how long a refusal of the Domain Registry is remembered; 1 s
	Max      int           // at a time; 1024
}

// OwnOptions are about what is registered in this runtime.
type OwnOptions struct {
	Max       int           // hyperties and data objects; 2^17
	Expires   time.Duration // of entries at the Domain Registry; 3600 s, at most that; refreshed every Expires/2.2
	PoolBlock int           // addresses fetched at once; 8
	// GivenUp is told of addresses of this runtime that have been given up, when nothing is posted from there any more. It
	// must not wait. It may be nil.
	GivenUp func(address message.URL)
}

// ChangesOptions are about /registry/changes.
type ChangesOptions struct {
	Off bool // neither publish nor follow, see [Registry.SetChanges]
}

// withDefaults is the one place of the defaults, but for those of P2P and Cache, which the packages of these options have.
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
	goodbyeTimeout = 2 * time.Second        // for saying goodbye to the node on Close
	tellTimeout    = 2 * time.Second        // for a stub to answer an execute
	tellPause      = 300 * time.Millisecond // before it is told again

	// Look-ups that remote runtimes cause: at once because of one, and how many in a second, and at once before that, because of
	// one and of all. A node allows a runtime 1000 and 10,000.
	askerAtOnce             = 32
	askerRate, askerBurst   = 128, 1024
	askersRate, askersBurst = 500, 4096
)
