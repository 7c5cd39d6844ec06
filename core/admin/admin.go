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

// About is what of a runtime does not change.
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

// Registry knows who is where. [registry.Registry] implements it.
type Registry interface {
	Snapshot() registry.Status
	// Explain is the way of a message to an address. It starts no set-up.
	Explain(ctx context.Context, to message.URL) (bus.Route, error)
	// Renew has every P2P connection over a plug-in set up again.
	Renew(plugin string)
}

// Sessions are those with remote runtimes. [session.Sessions] implements it.
type Sessions interface {
	Snapshot() []session.State
	// Again has sent once more what was under way by a path.
	Again(path session.Path)
}

// Sessionless are the remote runtimes without sessions. [plainpeers.Peers] implements it.
type Sessionless interface {
	Snapshot() []plainpeers.Peer
	// Allows refuses a runtime that the operator does not allow to be without a session.
	Allows(remote message.URL) error
}

// Catalogue is the installed plug-ins. [catalogue.Catalogue] implements it.
type Catalogue interface {
	// Find is the plug-in of that name. The error says what to do.
	Find(name string) (catalogue.Descriptor, error)
}

// Stubs are those that are deployed. [deployer.Deployer] implements it.
type Stubs interface {
	// Has tells whether a stub of that role is deployed there.
	Has(stub message.URL, role sdk.Role) bool
	// Plugin is an installed plug-in as the host runs it.
	Plugin(entry catalogue.Descriptor) stubhost.Plugin
}

// Host runs plug-ins. [stubhost.Host] implements it.
type Host interface {
	Plugins() []stubhost.PluginState
	Reload(ctx context.Context, p stubhost.Plugin, o stubhost.ReloadOptions) (stubhost.Reloaded, error)
	Profile(ctx context.Context, plugin string, kind profile.Kind, seconds int) ([]byte, error)
}
