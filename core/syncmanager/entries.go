package syncmanager

import (
	"github.com/protofly/protofly/core/syncmanager/internal/kept"
	"github.com/protofly/protofly/core/syncmanager/internal/observing"
	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/core/syncmanager/internal/reporting"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/internal/object/life"
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

// write is something that is to happen to a kept object, when the disk has it. Its functions are called with the lock held.
type write struct {
	next  func() (replicaOf, error) // the object as it will be; nil: it is removed
	apply func() error              // what happens then; nil: nothing
	then  func(error)               // is told whether it has; nil: nobody is
}

// replicaOf is an object to be written.
type replicaOf struct {
	meta object.Metadata
	doc  object.Document
}

// contact is the contact with a remote runtime, kept while objects of it are observed here.
type contact struct {
	*life.Contact
	objects map[*observed]struct{}
	heard   protocol.Heard // of what it says that was missed here
}

// disk is where objects are kept.
type disk struct {
	folder  *kept.Folder  // nil: none are
	records []kept.Record // for Restore
}
