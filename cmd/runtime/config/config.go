package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/internal/config"
	"github.com/protofly/protofly/sdk/message"
)

// Config is the effective configuration. [Schema] says what the keys mean.
type Config struct {
	Domain      string                    `koanf:"domain"`
	Node        string                    `koanf:"node"`
	Nodes       map[string]string         `koanf:"nodes"`
	Data        string                    `koanf:"data"`
	Plugins     Plugins                   `koanf:"plugins"`
	Stubs       map[string]map[string]any `koanf:"stubs"` // by plug-in: the options that are given
	P2P         P2P                       `koanf:"p2p"`
	Trust       Trust                     `koanf:"trust"`
	Catalogue   Catalogue                 `koanf:"catalogue"`
	Sessions    Sessions                  `koanf:"sessions"`
	API         API                       `koanf:"api"`
	Log         Log                       `koanf:"log"`
	Trace       string                    `koanf:"trace"` // empty: none
	TraceBodies bool                      `koanf:"trace_bodies"`

	// UseAll says that plugins.use is not set: every installed P2P plug-in is used.
	UseAll bool `koanf:"-"`
}

// Plugins is which plug-ins run.
type Plugins struct {
	Dir     string              `koanf:"dir"`
	Use     []string            `koanf:"use"`
	Node    string              `koanf:"node"`
	Sandbox string              `koanf:"sandbox"`
	UIDs    string              `koanf:"uids"`
	Paths   map[string][]string `koanf:"paths"`
	Poll    time.Duration       `koanf:"poll"`
}

// P2P is the policy on direct connections.
type P2P struct {
	Policy  string   `koanf:"policy"`
	Prefer  []string `koanf:"prefer"` // empty: plugins.use
	Changes bool     `koanf:"changes"`
}

// Trust is with whom the runtime speaks.
type Trust struct {
	Mode            string          `koanf:"mode"`
	Peers           []string        `koanf:"peers"`
	Pins            []string        `koanf:"pins"`
	WithoutSessions WithoutSessions `koanf:"without_sessions"`
}

// WithoutSessions is which runtimes that cannot prove their address the runtime speaks with.
type WithoutSessions struct {
	Domains []string `koanf:"domains"`
	Peers   []string `koanf:"peers"`
}

// Catalogue is how the Message Nodes of domains that nodes does not name are found.
type Catalogue struct {
	Networks []string `koanf:"networks"`
}

// Sessions is what is kept of remote runtimes.
type Sessions struct {
	Idle time.Duration `koanf:"idle"` // 0: for ever
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

// Sources is where a configuration comes from.
type Sources = config.Sources

// Loaded is a configuration and where each of its keys came from.
type Loaded struct {
	Config
	*config.Values

	inUse []string // the plug-ins whose options are shown
}

// Load reads and checks a configuration. The error is every mistake that was found, joined; each names where it is. The
// options of plug-ins are checked as the installed ones describe them; whether they are installed is not looked at.
func Load(s Sources) (*Loaded, error) {
	installed := installedIn(s)
	v, err := Schema(optionsOf(installed)).Load(s)
	if v == nil {
		return nil, err
	}
	out := &Loaded{Values: v}
	if v.Peek("plugins.dir") == "" {
		v.Set("plugins.dir", filepath.Join(v.Peek("data"), "installed"))
	}
	if e := v.Decode(&out.Config); e != nil {
		return nil, errors.Join(err, e)
	}
	out.UseAll = !v.Given("plugins.use")
	for _, d := range installed {
		if d.Name == out.Plugins.Node || out.UseAll || slices.Contains(out.Plugins.Use, d.Name) {
			out.inUse = append(out.inUse, d.Name)
		}
	}
	return out, errors.Join(err, out.check())
}

// Show is the effective configuration as YAML that could be a file, with secrets hidden; with origin, each line says
// where its value came from. The options of the plug-ins in use are there with their defaults.
func (l *Loaded) Show(origin bool) (string, error) {
	return l.Values.Show(origin, map[string][]string{"stubs": l.inUse})
}

// AllNodes is the Message Node of each domain: nodes, and node for the own one.
func (c *Config) AllNodes() map[string]string {
	all := maps.Clone(c.Nodes)
	if all == nil {
		all = map[string]string{}
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
		text, err := json.Marshal(plain(stub))
		if err != nil {
			return nil, fmt.Errorf("stubs.%s: %w", name, err)
		}
		all[name] = text
	}
	return all, nil
}

// plain is a value as JSON should have it: durations are texts.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, below := range v {
			out[name] = plain(below)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = plain(item)
		}
		return out
	case time.Duration:
		return config.FormatDuration(v)
	}
	return v
}

// anyPeer in trust.peers stands for every runtime.
const anyPeer = "any"

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

// PluginUIDs is plugins.uids as the core wants it.
func (c *Config) PluginUIDs() (sandbox.Users, error) {
	switch text := c.Plugins.UIDs; text {
	case "auto":
		return sandbox.Users{Mode: sandbox.Auto}, nil
	case "on":
		return sandbox.Users{Mode: sandbox.Required}, nil
	case "off", "0":
		return sandbox.Users{Mode: sandbox.Off}, nil
	default:
		first, err := strconv.ParseUint(text, 10, 32)
		if err != nil || first < leastUID || first > mostUID {
			return sandbox.Users{}, fmt.Errorf("want auto, on, off, or the first of %d user IDs that nobody else has, from %d to %d", sandbox.UIDs, leastUID, uint64(mostUID))
		}
		return sandbox.Users{Mode: sandbox.Auto, First: uint32(first)}, nil
	}
}

// Poll is plugins.poll as the core wants it.
func (c *Config) Poll() time.Duration { return negativeForZero(c.Plugins.Poll) }

// SessionIdle is sessions.idle as the core wants it.
func (c *Config) SessionIdle() time.Duration { return negativeForZero(c.Sessions.Idle) }

// negativeForZero is d for the core, whose 0 is the default.
func negativeForZero(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}
