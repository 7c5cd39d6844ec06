package syncmanager

import (
	"github.com/protofly/protofly/core/syncmanager/internal/observing"
	"github.com/protofly/protofly/core/syncmanager/internal/reporting"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// reported is an object whose reporter runs here, and what runs for it.
type reported struct {
	*reporting.Object
	packer   object.Packer
	listens  []func()               // end its listeners
	forwards map[message.URL]func() // end the forwarding of U/changes to a remote runtime
	private  bool

	keep   bool    // in the data folder
	writes []write // that wait for the disk; the first is under way
	noting bool    // it will be written who observes
}

// observed is an object of another runtime that components of this one observe, and what runs for it.
type observed struct {
	*observing.Object
	packer object.Packer
	stop   func() // ends listening at U/changes
	via    *contact
	remote message.URL // of via
}
