package syncmanager

import (
	"context"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/core/syncmanager/internal/limits"
	"github.com/protofly/protofly/sdk/message"
)

// Objects is what the sync manager needs of the Registry. [registry.Registry] implements it.
type Objects interface {
	// RegisterObject gives the object its address and enters it in the tables and, unless it is private, in the Domain
	// Registry. The wished address of an object that its reporter had before is granted again. A refusal is a
	// *message.ResponseError.
	RegisterObject(ctx context.Context, o registry.Object) (message.URL, error)
	// UnregisterObject removes the object from the tables and the Domain Registry.
	UnregisterObject(ctx context.Context, url message.URL) error
}

// Bus is what the sync manager needs of the MessageBus.
type Bus interface {
	message.Bus
	// Forward has every message for the address at also sent to the runtime remote.
	Forward(at, remote message.URL) (stop func())
	// Published waits until what was posted to the address at has left for those runtimes, or ctx ends.
	Published(ctx context.Context, at message.URL)
}

// Limits bound what components and other runtimes can make the sync manager keep. A zero field is its default.
type Limits = limits.Limits

// Options is what a sync manager is made from. Runtime, Domain, Bus and Objects are needed.
type Options struct {
	Runtime message.URL
	Domain  string
	Bus     Bus
	Objects Objects
	// Local tells whether a component of this runtime has the address. Others are refused at <runtime>/sm. Without
	// it only components of other runtimes that show as such by their address are refused.
	Local func(component message.URL) bool
	// Remote is the remote runtime that a component is known to be of, "" where it is not known. Without it what each
	// component of remote runtimes causes is counted apart.
	Remote func(component message.URL) message.URL
	// Verify refuses where the component is not one of the runtime remote: nobody subscribes for another runtime's. It may
	// wait. Without it only components that show by their address whose they are are refused.
	Verify func(ctx context.Context, remote, component message.URL) error
	// Folder is where objects are kept whose reporters ask for that; "": none are. Only this sync manager uses it.
	Folder string
	Log    hclog.Logger
	Limits Limits
}
