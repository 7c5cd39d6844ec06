package deployer

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/internal/networks"
	"github.com/protofly/protofly/sdk/message"
)

// Config is the operator's configuration of stubs. Domain, NodeStub and DataDir are required.
type Config struct {
	Domain      string                     // the runtime's own
	Nodes       map[string]string          // the URL of each domain's Message Node; other domains: the one that the domain publishes
	Networks    networks.Allowed           // where the Message Nodes of other domains than those in Nodes may be
	NodeStub    string                     // the plug-in that reaches Message Nodes
	DataDir     string                     // no plug-in may read the files in it
	StubConfig  map[string]json.RawMessage // by plug-in
	PluginPaths map[string][]string        // by plug-in: files and folders that it may read, beside those that its StubConfig names
}

// node returns the configuration of a Message Node's stub: the operator's, with the node's URL. If the operator has not named
// the URL, it also has the networks in which the node may be.
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
