package receiver

import (
	"bytes"

	"github.com/protofly/protofly/internal/minibus"
)

// ShortRun is how many messages a frame may bring so that whoever brings it delivers them.
const ShortRun = 8

// inbox holds received messages until they are delivered, and counts them until they are taken.
//
// Messages are delivered by one goroutine at a time, which is called the deliverer here: whoever brings a frame, where that
// has few messages and nobody else is at work, since waking another goroutine takes longer than they do; else a goroutine for
// it. Whoever has finished sees to it that batches that have come meanwhile go to that goroutine.
type inbox struct {
	batches []Batch
	busy    bool // somebody delivers
	cost    int  // of all messages that are not taken
	overrun bool // the peer sent more than we said we take: it has to send it again
}

// Batch is the messages of one frame, in wire form, records among them, or the last of them.
type Batch struct {
	Items   []byte
	Routing []byte        // of the message before the first, which may have the same; nil: there is none
	First   uint64        // number of the first
	By      minibus.Taker // who is told what becomes of them
	Again   bool          // the first has been tried before
	Claims  bool          // the peer has claimed something that is to be taken first
	Lent    bool          // Items and Routing are somebody else's memory
	Memory  int           // bytes of the memory that Items is a part of, where it is not lent
	Here    bool          // whoever brought the frame delivers it: nothing may be waited for
}

// Own makes the memory of b its own.
func (b *Batch) Own() {
	if b.Lent {
		b.Items, b.Routing, b.Lent, b.Memory = bytes.Clone(b.Items), bytes.Clone(b.Routing), false, len(b.Items)
	}
}
