package core

import (
	"encoding/json"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/core/trace"
)

// Config is what a runtime is started with. Domain, DataDir and PluginDir are required; the zero value of the rest
// works.
type Config struct {
	Domain string            // the runtime's own domain, as in hyperty://<domain>/…
	Nodes  map[string]string // the Message Node of each domain, as a ws:// or wss:// URL; other domains: their well-known URL
	// Networks is where descriptors and Message Nodes of domains that Nodes does not name may be, as internal/networks reads
	// it; nil: [networks.Public]; empty: nowhere. The own domain and what Nodes names may be anywhere.
	Networks  []string
	DataDir   string // made 0700: the key, and files of the running plug-ins
	PluginDir string // where the installed plug-ins are
	Socket    string // of the local application API; "": none
	NodeStub  string // the plug-in that reaches Message Nodes; "": DefaultNodeStub
	P2P       P2P
	Trust     identity.Trust // with whom this runtime speaks; the zero value: everybody who proves its address
	// StubConfig is each plug-in's configuration by its name: an object that only the plug-in reads.
	StubConfig map[string]json.RawMessage
	// Sandbox is whether plug-ins' processes are confined; "": where the system can.
	Sandbox sandbox.Mode
	// PluginUsers is whether plug-ins run under user IDs of their own, each under another, where the process is root's
	// (Linux). The zero value: where it can be, and for those that lose nothing that the configuration names.
	PluginUsers sandbox.Users
	// PluginPaths is files and folders that a plug-in may read besides, by its name, when it is confined; and those that
	// its StubConfig names by their whole paths, if they are files outside of DataDir.
	PluginPaths map[string][]string
	// OwnProcess says that the process has no other purpose than this runtime. Then nobody of the same user can look into
	// it, and whatever plug-ins leave behind is ended (Linux).
	OwnProcess bool
	// Poll is how long the runtime and its plug-ins look for more, where messages come in quick succession, before they
	// sleep: see internal/busypoll. 0: [busypoll.Usual]; less: never.
	Poll    time.Duration
	Version string
	Log     hclog.Logger // nil: none
	Trace   trace.Func
	// TraceBodies has the events of Trace show the beginnings of messages, which are secrets of who exchanges them.
	TraceBodies bool

	// SessionIdle is how long nothing is said with a remote runtime before what is kept of it is dropped, unless
	// something is under way. 0: core/session.DefaultIdleTimeout; less: never.
	SessionIdle time.Duration

	waits waits
}

// waits are times that only tests set, which do not want to wait so long. 0: the default of the option that is named.
type waits struct {
	pluginStart time.Duration // stubhost.Options.StartTimeout
	unacked     time.Duration // session.Options.TTL
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
