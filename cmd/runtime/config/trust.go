package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/sdk/message"
)

// anyPeer in trust.peers stands for every runtime.
const anyPeer = "any"

// What the errors of the trust keys say. An empty list is an error, because it would allow all: a template may have had nothing to
// fill in.
const (
	wantPeers = "name the runtimes that this one speaks with, or write [any] for every runtime"
	wantPins  = "name what is pinned, or leave the key out"
	noDomains = "this key is not there any more: any Message Node lets any key connect under any domain, so it proved nothing of who is who. " +
		"List the runtimes in trust.peers, by their addresses, which are derived from their keys; or pin names to runtimes with trust.pins"
)

// Trust is the trust policy.
type Trust struct {
	Mode            string          `koanf:"mode"`
	Peers           []string        `koanf:"peers"`
	Pins            []string        `koanf:"pins"`
	WithoutSessions WithoutSessions `koanf:"without_sessions"`
}

// WithoutSessions is the runtimes that are allowed although they cannot prove their address.
type WithoutSessions struct {
	Domains []string `koanf:"domains"`
	Peers   []string `koanf:"peers"`
}

// forCore is the trust policy as the core takes it.
func (c Trust) forCore() (identity.Trust, error) {
	t := identity.Trust{Mode: identity.Mode(c.Mode), Pins: map[message.URL]message.URL{}}
	switch every := slices.Contains(c.Peers, anyPeer); {
	case every && len(c.Peers) > 1:
		return t, fmt.Errorf("peers: %s stands beside others: keep it alone for every runtime, or take it out", anyPeer)
	case len(c.Peers) == 0:
		return t, fmt.Errorf("peers: it is empty: %s", wantPeers)
	case !every:
		for _, p := range c.Peers {
			t.Peers = append(t.Peers, message.URL(p))
		}
	}
	t.WithoutSessions.Domains = c.WithoutSessions.Domains
	for _, p := range c.WithoutSessions.Peers {
		t.WithoutSessions.Peers = append(t.WithoutSessions.Peers, message.URL(p))
	}
	for _, line := range c.Pins {
		name, runtime, ok := strings.Cut(line, " ")
		if !ok {
			return t, fmt.Errorf("pins: %q: want a hyperty's address, a space and a runtime's", line)
		}
		t.Pins[message.URL(name)] = message.URL(strings.TrimSpace(runtime))
	}
	return t, t.Check()
}
