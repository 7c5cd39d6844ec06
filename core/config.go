package core

import (
	"encoding/json"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/core/trace"
)

// Config is what a runtime is started with. Domain, DataDir and PluginDir are required; every other zero value is a default.
type Config struct {
	Domain string            // the runtime's own domain, as in hyperty://<domain>/…
	Nodes  map[string]string // the Message Node of each domain, as a ws:// or wss:// URL; for other domains their well-known URL is asked
	// Networks says where descriptors and Message Nodes of domains that Nodes does not name may be, in the form of
	// internal/networks; nil: [networks.Public]; empty: nowhere. The node of Domain and those that Nodes names may be
	// anywhere.
	Networks  []string
	DataDir   string // made 0700: the key, and files of the running plug-ins
	PluginDir string // where the installed plug-ins are
	Socket    string // of the local application API; "": none
	NodeStub  string // the plug-in that reaches Message Nodes; "": DefaultNodeStub
	P2P       P2P
	Trust     identity.Trust // the trust policy; the zero value: all runtimes that prove their address
	// StubConfig is each plug-in's configuration, by its name: a JSON object that the runtime passes on.
	StubConfig map[string]json.RawMessage
	// Sandbox says whether plug-ins' processes are confined; "": where the system can.
	Sandbox sandbox.Mode
	// PluginUsers says whether each plug-in runs under a user ID of its own, where the runtime's process is root's (Linux).
	// The zero value: where the system can, and for each plug-in that can still read the files that its configuration names.
	PluginUsers sandbox.Users
	// PluginPaths is files and folders that a confined plug-in may read, by its name. It may also read the files outside of
	// DataDir that its StubConfig names by their absolute paths.
	PluginPaths map[string][]string
	// OwnProcess says that the process has no other purpose than this runtime. Then other processes of the same user cannot
	// read its memory, and processes that plug-ins leave behind are ended (Linux).
	OwnProcess bool
	// Poll is how long the runtime and its plug-ins poll for the next message before they sleep, where messages come in quick
	// succession: see internal/busypoll. 0: [busypoll.Usual]; negative: never.
	Poll    time.Duration
	Version string
	Log     hclog.Logger // nil: none
	Trace   trace.Func
	// TraceBodies adds the beginnings of messages' bodies to the events of Trace. Bodies are secrets of the applications.
	TraceBodies bool

	// SessionIdle is after how long without messages the state that is kept of a remote runtime is dropped, unless messages are
	// under way or there is a direct path. 0: core/session.DefaultIdleTimeout; negative: never.
	SessionIdle time.Duration

	waits waits
}

// waits are times that only tests set, to be quicker. 0: the default of the option that is named.
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

	// How long Close waits for remote runtimes to acknowledge what was sent to them.
	settleTime = 2 * time.Second

	// How long Close waits for applications to hear what became of their messages.
	hearTime = time.Second
)
