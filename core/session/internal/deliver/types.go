package deliver

import (
	"context"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// Acceptor takes the messages of remote runtimes to their listeners, each exactly once. A delivery that it takes is settled by
// its receipt in the end: until then the message counts as waiting in the session. Deliveries are the session's again when
// a method has returned.
type Acceptor interface {
	// TryAccept takes what it can without waiting, and returns how many that are, from the first. With the others it has
	// done nothing. The messages, at least one, have all the same but their IDs and bodies.
	TryAccept(remote message.URL, run []minibus.Delivery) (taken int)
	// Accept takes one message, and waits while its listener is behind, until ctx ends.
	Accept(ctx context.Context, remote message.URL, d *minibus.Delivery)
}

// maxRun is the most messages that are tried at once: enough that what is done once for all of them counts little.
const maxRun = 32
