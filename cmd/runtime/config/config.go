package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/internal/config"
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

// Plugins is the section plugins.
type Plugins struct {
	Dir     string              `koanf:"dir"`
	Use     []string            `koanf:"use"`
	Node    string              `koanf:"node"`
	Sandbox string              `koanf:"sandbox"`
	UIDs    string              `koanf:"uids"`
	Paths   map[string][]string `koanf:"paths"`
	Poll    time.Duration       `koanf:"poll"`
}

// P2P is the section p2p: direct connections.
type P2P struct {
	Policy  string   `koanf:"policy"`
	Prefer  []string `koanf:"prefer"` // empty: plugins.use
	Changes bool     `koanf:"changes"`
}

// Catalogue is the section catalogue: how the Message Nodes of domains that nodes does not name are found.
type Catalogue struct {
	Networks []string `koanf:"networks"`
}

// Sessions is the section sessions: how long the state of a remote runtime is kept.
type Sessions struct {
	Idle time.Duration `koanf:"idle"` // 0: for ever
}

// API is the section api: the local application API.
type API struct {
	Socket string `koanf:"socket"`
}

// Log is the section log: the log on stderr.
type Log struct {
	Level  string `koanf:"level"`
	Format string `koanf:"format"`
}

// AllNodes is the URL of each domain's Message Node: nodes, and node for the own domain.
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

// plain is a value for JSON: durations as texts.
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

// Poll is plugins.poll as the core takes it.
func (c *Config) Poll() time.Duration { return negativeForZero(c.Plugins.Poll) }

// SessionIdle is sessions.idle as the core takes it.
func (c *Config) SessionIdle() time.Duration { return negativeForZero(c.Sessions.Idle) }

// negativeForZero is d for the core: there 0 means the default, and a negative duration means none.
func negativeForZero(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// PluginUIDs is plugins.uids as the core takes it.
func (c *Config) PluginUIDs() (sandbox.Users, error) { return parseUIDs(c.Plugins.UIDs) }

// Trusted is the section trust as the core takes it.
func (c *Config) Trusted() (identity.Trust, error) { return c.Trust.forCore() }
