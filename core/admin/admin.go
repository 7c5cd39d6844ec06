package admin

import (
	"context"
	"time"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/core/plainpeers"
	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/internal/profile"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Admin answers questions about a runtime, and replaces its plug-ins. All fields are required. Its methods may be called
// from many goroutines.
type Admin struct {
	About     About
	Bus       Listeners
	Registry  Registry
	Sessions  Sessions
	Plain     Sessionless
	Catalogue Catalogue
	Stubs     Stubs
	Host      Host
}

// About is what does not change while a runtime runs.
type About struct {
	Runtime  message.URL
	Domain   string
	Version  string
	Started  time.Time
	NodeStub string // the plug-in that reaches Message Nodes
}

// Listeners are those of the MessageBus. [bus.MessageBus] implements it.
type Listeners interface {
	// Listened tells whether a component of this runtime listens to the address.
	Listened(to message.URL) bool
}

// Registry knows the runtimes, their addresses and the ways to them. [registry.Registry] implements it.
type Registry interface {
	Snapshot() registry.Status
	// Explain returns the route of a message to an address. It starts no set-up.
	Explain(ctx context.Context, to message.URL) (bus.Route, error)
	// Renew has every P2P connection of a plug-in set up again.
	Renew(plugin string)
}

// Sessions are those with remote runtimes. [session.Sessions] implements it.
type Sessions interface {
	Snapshot() []session.State
	// Again sends once more the frames that were on their way by a path.
	Again(path session.Path)
}

// Sessionless are the remote runtimes without sessions. [plainpeers.Peers] implements it.
type Sessionless interface {
	Snapshot() []plainpeers.Peer
	// Allows returns an error if the operator does not allow messages with the runtime, which has no sessions.
	Allows(remote message.URL) error
}

// Catalogue is the installed plug-ins. [catalogue.Catalogue] implements it.
type Catalogue interface {
	// Find returns the plug-in of that name. The error says what to do.
	Find(name string) (catalogue.Descriptor, error)
}

// Stubs are those that are deployed. [deployer.Deployer] implements it.
type Stubs interface {
	// Has tells whether a stub of that role is deployed at the address.
	Has(stub message.URL, role sdk.Role) bool
	// Plugin returns an installed plug-in in the form that the host needs.
	Plugin(entry catalogue.Descriptor) stubhost.Plugin
}

// Host runs plug-ins. [stubhost.Host] implements it.
type Host interface {
	Plugins() []stubhost.PluginState
	Reload(ctx context.Context, p stubhost.Plugin, o stubhost.ReloadOptions) (stubhost.Reloaded, error)
	Profile(ctx context.Context, plugin string, kind profile.Kind, seconds int) ([]byte, error)
}
