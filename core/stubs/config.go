package stubs

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/internal/networks"
	"github.com/protofly/protofly/sdk/message"
)

// Config is the operator's. Domain, NodeStub and DataDir are required.
type Config struct {
	Domain      string                     // the runtime's own
	Nodes       map[string]string          // the Message Node of each domain, as a URL; other domains: their well-known one
	Networks    networks.Allowed           // where Message Nodes of other domains may be that Nodes does not name
	NodeStub    string                     // the plug-in that reaches Message Nodes
	DataDir     string                     // no plug-in may read what is in there
	StubConfig  map[string]json.RawMessage // by plug-in
	PluginPaths map[string][]string        // by plug-in: what it may read beside what its StubConfig names
}

// node is the configuration of a Message Node's stub: the operator's, with the node's address, and with where
// that may be if the operator has not named it.
func (c *Config) node(ctx context.Context, domain string, config json.RawMessage) (json.RawMessage, error) {
	url, known := c.Nodes[domain]
	var within *networks.Allowed
	if !known && domain != c.Domain {
		within = &c.Networks
	}
	if !known {
		var err error
		if url, err = catalogue.NodeAddress(ctx, domain, within); err != nil {
			return nil, fmt.Errorf("the Message Node of %s is not found: %w", domain, err)
		}
	}
	members := map[string]json.RawMessage{}
	if len(config) > 0 {
		if err := json.Unmarshal(config, &members); err != nil {
			return nil, fmt.Errorf("configuration of plug-in %s: %w", c.NodeStub, err)
		}
		members = maps.Clone(members)
	}
	members["url"] = message.Encode(url)
	if within != nil {
		members["networks"] = message.Encode(within)
	}
	return message.Encode(members), nil
}
