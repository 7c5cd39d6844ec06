package deliver

import (
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// Delivery is a message of a remote runtime on its way to its listener; see Options.Deliver.
type Delivery struct {
	Remote  message.URL
	Door    message.URL // by which the last frame of the remote runtime came
	Message message.Message
	// Receipt is settled when the message is taken, or was refused and its sender has been answered.
	Receipt minibus.Receipt
	Wait    bool // Deliver may wait
	Again   bool // it has been tried before, without waiting
}

// Run is messages of a remote runtime, one behind the other, that have all the same but their IDs and bodies, on their way
// to their listener; see Options.DeliverRun.
type Run struct {
	Remote   message.URL
	Messages []minibus.Handed
}

// maxRun is the most messages in a Run: enough that what is done once for all of them counts little.
const maxRun = 32
