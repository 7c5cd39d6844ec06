package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/internal/busypoll"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/networks"
)

// Config is the effective configuration.
type Config struct {
	Domain      string                    `koanf:"domain"` // the runtime's own
	Node        string                    `koanf:"node"`   // the Message Node of the own domain
	Nodes       map[string]string         `koanf:"nodes"`  // and of others
	Data        string                    `koanf:"data"`   // folder: the key, what the plug-ins need
	Plugins     Plugins                   `koanf:"plugins"`
	Stubs       map[string]map[string]any `koanf:"stubs"` // by plug-in
	P2P         P2P                       `koanf:"p2p"`
	Trust       Trust                     `koanf:"trust"`
	Catalogue   Catalogue                 `koanf:"catalogue"`
	API         API                       `koanf:"api"`
	Log         Log                       `koanf:"log"`
	Trace       string                    `koanf:"trace"`        // file that every step of the core is written to, as JSON lines; empty: none
	TraceBodies bool                      `koanf:"trace_bodies"` // with the beginnings of messages, in clear

	Sessions Sessions `koanf:"sessions"`

	// UseAll says that plugins.use is not set: every installed P2P plug-in is used.
	UseAll bool `koanf:"-"`
}

// Plugins is which plug-ins run.
type Plugins struct {
	Dir  string   `koanf:"dir"`  // where they are installed
	Use  []string `koanf:"use"`  // P2P ones, in order of preference
	Node string   `koanf:"node"` // the one that reaches Message Nodes
	// Sandbox is whether their processes are confined: auto, required, off.
	Sandbox string              `koanf:"sandbox"`
	UIDs    any                 `koanf:"uids"`  // whether they have user IDs of their own: auto, on, off (or 0); a number: auto, from that ID on
	Paths   map[string][]string `koanf:"paths"` // what each may read besides, by name
	Poll    string              `koanf:"poll"`  // a duration: how long processes look for more messages before they sleep; 0s: never
}

// P2P is the policy on direct connections.
type P2P struct {
	Policy  string   `koanf:"policy"`  // auto, requested, never, commanded
	Prefer  []string `koanf:"prefer"`  // order in which to request with them; empty: plugins.use
	Changes bool     `koanf:"changes"` // subscribe to the changes of remote registries
}

// Trust is with whom the runtime speaks.
type Trust struct {
	Mode  string   `koanf:"mode"`  // any, pinned
	Peers []string `koanf:"peers"` // only these runtimes; [any]: every one
	Pins  []string `koanf:"pins"`  // "hyperty://… hyperty-runtime://…": this name is at this runtime and nowhere else

	WithoutSessions WithoutSessions `koanf:"without_sessions"` // besides, with these without a session; both empty: with nobody
}

// Catalogue is how the Message Nodes of domains that nodes does not name are found.
type Catalogue struct {
	Networks []string `koanf:"networks"` // where their descriptors and nodes may be: sdk/networks; [] nowhere
}

// WithoutSessions is which runtimes that cannot prove their address the runtime speaks with.
type WithoutSessions struct {
	Domains []string `koanf:"domains"`
	Peers   []string `koanf:"peers"`
}

// Sessions is what is kept of remote runtimes.
type Sessions struct {
	Idle string `koanf:"idle"` // a duration: how long nothing is said before a session is dropped; 0s: never
}

// API is the local application API.
type API struct {
	Socket string `koanf:"socket"`
}

// Log is the log on stderr.
type Log struct {
	Level  string `koanf:"level"`
	Format string `koanf:"format"`
}

// anyPeer in trust.peers stands for every runtime.
const anyPeer = "any"

// The words that some keys take.
var (
	policies = []string{"auto", "requested", "never", "commanded"}
	levels   = []string{"trace", "debug", "info", "warn", "error"}
	formats  = []string{"text", "json"}
)

// defaults is the first layer, and, by key, why one has no default on this machine: it has to be given then.
func defaults() (layer map[string]any, missing map[string]error) {
	missing = map[string]error{}
	data, err := dataFolder()
	if err != nil {
		missing["data"] = err
	}
	socket, err := hyperty.DefaultSocket()
	if err != nil {
		missing["api.socket"] = err
	}
	return map[string]any{
		"domain": "", "node": "", "nodes": map[string]any{}, "data": data, "trace": "", "trace_bodies": false,
		"plugins": map[string]any{"dir": "", "node": "msgnode-ws", "poll": busypoll.Usual.String(), "sandbox": string(sandbox.Auto),
			"uids": string(sandbox.Auto), "paths": map[string]any{}}, // dir: in the data folder; use: all
		"stubs": map[string]any{},
		"p2p":   map[string]any{"policy": "auto", "prefer": []any{}, "changes": true},
		"trust": map[string]any{"mode": "any", "peers": []any{anyPeer}, // pins: none
			"without_sessions": map[string]any{"domains": []any{}, "peers": []any{}}},
		"catalogue": map[string]any{"networks": []any{networks.Public}},
		"sessions":  map[string]any{"idle": session.DefaultIdleTimeout.String()},
		"api":       map[string]any{"socket": socket},
		"log":       map[string]any{"level": "info", "format": "text"},
	}, missing
}

// dataFolder is the user's folder for what a runtime keeps.
func dataFolder() (string, error) {
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "protofly"), nil
	}
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return "", fmt.Errorf("no default place for the data (%w): set data, or use --data", err)
		}
		return filepath.Join(dir, "protofly"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no default place for the data (%w): set data, or use --data", err)
	}
	return filepath.Join(home, ".local", "share", "protofly"), nil
}

// AllNodes is the Message Node of each domain: nodes, and node for the own one.
func (c *Config) AllNodes() map[string]string {
	all := make(map[string]string, len(c.Nodes)+1)
	for domain, url := range c.Nodes {
		all[domain] = url
	}
	if c.Node != "" {
		all[c.Domain] = c.Node
	}
	return all
}

// StubConfig is each plug-in's own configuration, as JSON.
func (c *Config) StubConfig() (map[string]json.RawMessage, error) {
	all := make(map[string]json.RawMessage, len(c.Stubs))
	for name, stub := range c.Stubs {
		text, err := json.Marshal(stub)
		if err != nil {
			return nil, fmt.Errorf("stubs.%s: %w", name, err)
		}
		all[name] = text
	}
	return all, nil
}

// Trusted is the trust section for the core.
func (c *Config) Trusted() (identity.Trust, error) {
	t := identity.Trust{Mode: identity.Mode(c.Trust.Mode), Pins: map[message.URL]message.URL{}}
	switch every := slices.Contains(c.Trust.Peers, anyPeer); {
	case every && len(c.Trust.Peers) > 1:
		return t, fmt.Errorf("peers: %s stands beside others: keep it alone for every runtime, or take it out", anyPeer)
	case len(c.Trust.Peers) == 0:
		return t, fmt.Errorf("peers: it is empty: %s", wantPeers)
	case !every:
		for _, p := range c.Trust.Peers {
			t.Peers = append(t.Peers, message.URL(p))
		}
	}
	t.WithoutSessions.Domains = c.Trust.WithoutSessions.Domains
	for _, p := range c.Trust.WithoutSessions.Peers {
		t.WithoutSessions.Peers = append(t.WithoutSessions.Peers, message.URL(p))
	}
	for _, line := range c.Trust.Pins {
		name, runtime, ok := strings.Cut(line, " ")
		if !ok {
			return t, fmt.Errorf("pins: %q: want a hyperty's address, a space and a runtime's", line)
		}
		t.Pins[message.URL(name)] = message.URL(strings.TrimSpace(runtime))
	}
	return t, t.Check()
}
