package deployer

import (
	"context"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/core/plainpeers"
	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/internal/logs"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Catalogue has the installed plug-ins. [catalogue.Catalogue] implements it.
type Catalogue interface {
	// Find returns the plug-in of that name. The error says what to do.
	Find(name string) (catalogue.Descriptor, error)
}

// Host runs plug-ins. [stubhost.Host] implements it.
type Host interface {
	Deploy(ctx context.Context, p stubhost.Plugin, in stubhost.Instance) error
	Undeploy(ctx context.Context, stub message.URL) error
}

// MiniBuses passes messages to running stubs. [stubhost.Host] implements it.
type MiniBuses interface {
	Post(ctx context.Context, stub message.URL, m message.Message) error
	// TryPost returns false if the stub is behind.
	TryPost(stub message.URL, m message.Message) bool
}

// Bus is the MessageBus. [bus.MessageBus] implements it.
type Bus interface {
	Listen(at message.URL, h message.Handler) (stop func())
	Reply(m message.Message)
	Receiver
}

// Receiver takes messages that come from stubs and from the functions of Message Nodes. [bus.MessageBus] implements it.
type Receiver interface {
	From(ctx context.Context, owner message.URL, m message.Message) error
	ArriveFromNode(ctx context.Context, stub message.URL, m message.Message)
}

// Doors notes which runtime or node is behind the doors of stubs. [doors.Table] implements it.
type Doors interface {
	AddNode(stub message.URL, domain string)
	AddDirect(stub, door, remote message.URL)
	Drop(stub message.URL)
}

// Options are the settings of a [Deployer]. All are required but NodeLive, Gone, Away, Peers and Log.
type Options struct {
	Self      message.URL // this runtime
	Config    Config
	Catalogue Catalogue
	Host      Host
	MiniBuses MiniBuses
	Bus       Bus
	Doors     Doors
	Plain     func(node plainpeers.Node, m message.Message) // takes a message that came without a session; it must not wait
	NodeLive  func(domain string)                           // is called when the Message Node of a domain is connected again
	Gone      func(stub message.URL)                        // is called when a stub has ended
	Away      func(remote, stub message.URL)                // is called when the Message Node behind a stub says that a runtime is not connected
	Peers     *logs.Peers                                   // limits the lines about remote runtimes; nil: nothing does
	Log       hclog.Logger                                  // nil: none
}

// Deployer has every stub that is deployed. It is the Registry's [registry.Deployer]. Its methods may be called from many
// goroutines.
type Deployer struct {
	o Options

	mu    sync.RWMutex
	stubs map[message.URL]deployed // as many as the Registry deploys
}

// deployed is a stub; stop ends its listeners on the MessageBus.
type deployed struct {
	registry.Deployment
	stop func()
}

// New makes a Deployer without stubs.
func New(o Options) *Deployer {
	if o.NodeLive == nil {
		o.NodeLive = func(string) {}
	}
	if o.Away == nil {
		o.Away = func(_, _ message.URL) {}
	}
	if o.Gone == nil {
		o.Gone = func(message.URL) {}
	}
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	return &Deployer{o: o, stubs: map[message.URL]deployed{}}
}

// Has tells whether a stub of that role is deployed at the address.
func (dep *Deployer) Has(stub message.URL, role sdk.Role) bool {
	d, ok := dep.find(stub)
	return ok && d.Role == role
}

// Signs returns what a stub's signatures depend on; see [identity.Identity.Serve].
func (dep *Deployer) Signs(stub message.URL) (identity.Stub, bool) {
	d, ok := dep.find(stub)
	return identity.Stub{Role: d.Role, Domain: d.Domain, Remote: d.Remote}, ok
}

func (dep *Deployer) find(stub message.URL) (registry.Deployment, bool) {
	dep.mu.RLock()
	defer dep.mu.RUnlock()
	d, ok := dep.stubs[stub]
	return d.Deployment, ok
}

// Plugin returns an installed plug-in in the form that the host needs, with the files that it may read.
func (dep *Deployer) Plugin(entry catalogue.Descriptor) stubhost.Plugin {
	return dep.o.Config.plugin(entry)
}
