package registry

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// Bus is what the Registry needs of the MessageBus.
type Bus interface {
	message.Bus
	// Forward has every message for the address at also go to the remote runtime, until stop is called.
	Forward(at, remote message.URL) (stop func())
	// Reply posts a response and does not wait for who gets it.
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
type Handler struct {
	Name string      `json:"name"`
	URL  message.URL `json:"handler"`
}

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
	Prefer   []string  // names of the plug-ins that this side can request with, best first
	Policy   Policy
	// Connects says whether a P2P connection with a runtime may be set up at all; without it: with every one.
	Connects func(remote message.URL) bool

	// Sandbox gives a message to the MiniBus of a stub. It serves messages that are addressed to a Handler's door
	// itself; without it they are refused.
	Sandbox func(ctx context.Context, stub message.URL, m message.Message) error
	// PathChanged is called when the best way to a remote runtime has changed: a P2P connection became live or
	// ended, or the Message Node stub that was missing runs. The zero Route says that there is none now. Calls come
	// one at a time; the latest state is reported, not every step.
	PathChanged func(remote message.URL, route bus.Route)
	// Owner says whether a hyperty may be at a runtime; certain: its Domain Registry says that it is, in an entry that is
	// to be believed. The error says what to do. It must be quick where certain is false. Without it every such entry is
	// good enough.
	Owner func(name, runtime message.URL, certain bool) error
	// SignEntry is the runtime's signature of its own entry at the Domain Registry. Without it entries are not signed, and
	// runtimes that do not know better take them for none.
	SignEntry func(e proof.Entry, issued, expires time.Time) *proof.EntryProof
	// Unsigned says whether entries of that runtime are believed without a signature: it is one without sessions, and the
	// operator allows it. It is not asked about runtimes whose address is derived from a key, see [proof.KeyDerived]:
	// those sign. Without it none are believed.
	Unsigned func(runtime message.URL) bool
	// NodeBack is called when a Message Node's stub is live again after it was not: what went over it meanwhile is lost.
	NodeBack func(stub message.URL)
	// Named says whether the operator has named the Message Node of that domain, so that remote runtimes may have it
	// reached like this one's own messages. Without it none are but that of Domain.
	Named func(domain string) bool
	// Came is the Message Node's stub by which the last frames of a remote runtime came that has proven itself, if they
	// did: answers go back that way rather than to the node of a domain that nobody here uses. Without it they do not.
	Came func(remote message.URL) (stub message.URL, ok bool)
	// InUse says whether anything has gone over a Message Node's stub within a time. Without it only what the Registry
	// has seen counts.
	InUse func(stub message.URL, within time.Duration) bool
	// GivenUp is told of addresses of this runtime that have been given up, when nothing is posted from there any more. It
	// must not wait. It may be nil.
	GivenUp   func(address message.URL)
	NoChanges bool // neither publish nor follow /registry/changes, see [Registry.SetChanges]
	Log       hclog.Logger
	Trace     *trace.Hub

	Expires        time.Duration // of entries at the Domain Registry; 3600 s, at most that; refreshed every Expires/2.2
	ProofTime      time.Duration // how long a signature of an entry holds; 24 h; made anew when half of it is over
	LookupTimeout  time.Duration // of a request to a node's functions; 5 s
	NodeTimeout    time.Duration // for a Message Node stub to be deployed; 10 s
	SetupTimeout   time.Duration // of a P2P set-up; 15 s
	Backoff        time.Duration // after the first failure, doubled by each further; 1 s
	MaxBackoff     time.Duration // 60 s
	ReconnectDelay time.Duration // before a Requester is asked to connect again, without a message that wants it; 200 ms
	HandlerGrace   time.Duration // how long a Handler's ended connection waits for its Requester to come back; 3 s
	MissTime       time.Duration // how long a refusal of the Domain Registry is remembered; 1 s
	CacheTime      time.Duration // how long an address is remembered after its connection ended or its look-up; 10 min
	NodeIdle       time.Duration // how long a Message Node that was reached because of others is kept without use; 5 min
	ChangesGrace   time.Duration // how long a follower of /registry/changes is kept without a live connection; 1 min

	MaxAddresses int // addresses of remote runtimes; 2^20 + 2^17
	MaxRemotes   int // remote runtimes; 2^17
	MaxListed    int // addresses that one remote runtime may list; 2^17
	MaxAnnounced int // addresses that one without a P2P connection may announce; 2^12; all of them together 16 times that
	MaxLocal     int // hyperties and data objects of this runtime; 2^17
	MaxNodes     int // Message Node stubs; 64. At most half of them because of remote runtimes
	MaxLookups   int // look-ups at a time; 1024
	PoolBlock    int // addresses fetched at once; 8
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.Expires, time.Hour}, {&o.ProofTime, 24 * time.Hour}, {&o.LookupTimeout, 5 * time.Second}, {&o.NodeTimeout, 10 * time.Second},
		{&o.SetupTimeout, 15 * time.Second}, {&o.Backoff, time.Second}, {&o.MaxBackoff, time.Minute},
		{&o.ReconnectDelay, 200 * time.Millisecond}, {&o.HandlerGrace, 3 * time.Second}, {&o.MissTime, time.Second},
		{&o.CacheTime, 10 * time.Minute}, {&o.NodeIdle, 5 * time.Minute}, {&o.ChangesGrace, time.Minute},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *int
		value int
	}{
		{&o.MaxAddresses, 1<<20 + 1<<17}, {&o.MaxRemotes, 1 << 17}, {&o.MaxListed, 1 << 17}, {&o.MaxAnnounced, 1 << 12}, {&o.MaxLocal, 1 << 17},
		{&o.MaxNodes, 64}, {&o.MaxLookups, 1024}, {&o.PoolBlock, 8},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	o.Expires, o.ProofTime = min(o.Expires, time.Hour), min(o.ProofTime, proof.MaxEntryLifetime)
	o.Runtime = o.Runtime.Canonical()
	if o.Connects == nil {
		o.Connects = func(message.URL) bool { return true }
	}
	if o.Policy == "" {
		o.Policy = Auto
	}
	if o.Owner == nil {
		o.Owner = func(_, _ message.URL, _ bool) error { return nil }
	}
	if o.Named == nil {
		o.Named = func(string) bool { return false }
	}
	if o.Came == nil {
		o.Came = func(message.URL) (message.URL, bool) { return "", false }
	}
	if o.Unsigned == nil {
		o.Unsigned = func(message.URL) bool { return false }
	}
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	return o
}

// Fixed times and bounds that nobody needs to change.
const (
	queueLen       = 1024                   // tasks that wait for the loop
	maxMisses      = 4096                   // refusals that are remembered
	maxHandlers    = 16                     // Handlers of one remote runtime
	maxEntries     = 64                     // entries of one look-up's answer that are looked at
	maxSeen        = 1 << 16                // addresses whose last entry is remembered, see believe
	maxComplaints  = 1024                   // entries that have been complained about
	claimRecheck   = 5 * time.Second        // between two looks whether a known address has moved to whom claims it
	turnPause      = 500 * time.Millisecond // between two Message Nodes that are reached because of others
	turnBurst      = 8                      // of them at once
	stopTimeout    = 5 * time.Second        // for a stub to end
	goodbyeTimeout = 2 * time.Second        // for saying goodbye to the node on Close
	tellTimeout    = 2 * time.Second        // for a stub to answer an execute
	tellPause      = 300 * time.Millisecond // before it is told again
	flapTime       = time.Second            // a connection that was live for less was not worth its set-up: it counts as unstable
	glareTail      = time.Second            // see accept
)
