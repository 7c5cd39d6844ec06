package core

import (
	"encoding/json"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/core/trace"
)

// Config is what a runtime is started with. Domain, DataDir and PluginDir are required; the zero value of the rest
// works.
type Config struct {
	Domain    string            // the runtime's own domain, as in hyperty://<domain>/…
	Nodes     map[string]string // the Message Node of each domain, as a ws:// or wss:// URL; other domains: their well-known URL
	DataDir   string            // made 0700: the key, and files of the running plug-ins
	PluginDir string            // where the installed plug-ins are
	Socket    string            // of the local application API; "": none
	NodeStub  string            // the plug-in that reaches Message Nodes; "": DefaultNodeStub
	P2P       P2P
	Trust     identity.Trust // with whom this runtime speaks; the zero value: everybody who proves its address
	// StubConfig is each plug-in's configuration by its name: an object that only the plug-in reads.
	StubConfig map[string]json.RawMessage
	// Poll is how long the runtime and its plug-ins look for more, where messages come in quick succession, before they
	// sleep: see sdk/poll. 0: [poll.Usual]; less: never.
	Poll    time.Duration
	Version string
	Log     hclog.Logger // nil: none
	Trace   trace.Func

	// SessionIdle is how long nothing is said with a remote runtime before what is kept of it is dropped, unless
	// something is under way. 0: core/session.DefaultIdleTimeout; less: never.
	SessionIdle time.Duration
}

// P2P is the policy on direct connections.
type P2P struct {
	Use       []string // the P2P plug-ins to run Handlers of; none: everything goes over the Message Node
	Prefer    []string // the order in which to try them as Requester; empty: Use
	Policy    string   // "auto" (also ""), "requested", "never" or "commanded"
	NoChanges bool     // do not subscribe to the changes of remote registries
}

// Defaults of a Config.
const (
	DefaultNodeStub = "msgnode-ws"

	// How long Start waits for the plug-ins, and Close for everything.
	startTimeout = 20 * time.Second
	closeTimeout = 10 * time.Second

	// How long Close waits for others to acknowledge what was sent to them.
	settleTime = 2 * time.Second
)
