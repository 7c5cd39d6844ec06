package syncmanager

import (
	"github.com/protofly/protofly/core/syncmanager/internal/observing"
	"github.com/protofly/protofly/core/syncmanager/internal/reporting"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher/object"
)

// reported is an object whose reporter runs here, and what runs for it.
type reported struct {
	*reporting.Object
	rest     object.Rest
	listens  []func()               // end its listeners
	forwards map[message.URL]func() // end the forwarding of U/changes to a remote runtime
}

// observed is an object of another runtime that components of this one observe, and what runs for it.
type observed struct {
	*observing.Object
	rest object.Rest
	stop func() // ends listening at U/changes
}
