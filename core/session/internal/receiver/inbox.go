package receiver

import (
	"slices"

	"github.com/protofly/protofly/core/session/internal/wire"
)

// Put puts what is new in a frame, which amounts to e, into the inbox, and says what its messages count for. here: whoever
// brought the frame is to deliver b, and is busy from now on; it may be so where may is true.
func (r *Receiver) Put(b *Batch, e wire.Extent, may bool) (cost int, here bool) {
	b.Claims = len(r.claims.coming) > 0
	messages := e.Count - e.Records
	switch {
	case messages > 0:
		cost = wire.Cost(uint64(e.Size), messages)
	case b.Claims && r.claims.ending(): // which waits for no message
		// One batch without messages takes all that has come until it is its turn: the peer cannot make more wait, since
		// nothing in them counts.
		if last := len(r.inbox.batches) - 1; last >= 0 && len(r.inbox.batches[last].Items) == 0 {
			return 0, false
		}
		b.Items, b.Routing, b.Lent, b.Memory = []byte{}, nil, false, 0
	default:
		return 0, false
	}
	r.inbox.cost += cost
	if may && messages <= ShortRun && !r.inbox.busy && len(r.inbox.batches) == 0 {
		r.inbox.busy, b.Here = true, true
		return cost, true
	}
	b.Own()
	r.inbox.batches = append(r.inbox.batches, *b)
	return cost, false
}

// Finished notes that whoever was busy has delivered, but for left where that has items.
func (r *Receiver) Finished(left Batch) {
	r.inbox.busy = false
	if len(left.Items) > 0 {
		r.inbox.batches = slices.Insert(r.inbox.batches, 0, left)
	}
}

// Start has somebody deliver, who is busy from now on. It is false where nothing waits, or somebody is busy already.
func (r *Receiver) Start() bool {
	if len(r.inbox.batches) == 0 || r.inbox.busy {
		return false
	}
	r.inbox.busy = true
	return true
}

// Batches are those that wait; whoever is busy delivers them, or is not busy any more where there are none. Their memory is
// exchanged for that of room.
func (r *Receiver) Batches(room []Batch) []Batch {
	list := r.inbox.batches
	r.inbox.batches = room[:0]
	r.inbox.busy = len(list) > 0
	return list
}

// Busy tells whether somebody delivers.
func (r *Receiver) Busy() bool { return r.inbox.busy }

// Backlog is how many batches wait to be delivered.
func (r *Receiver) Backlog() int { return len(r.inbox.batches) }

// Cost is what all messages that are not taken count for.
func (r *Receiver) Cost() int { return r.inbox.cost }

// Rest gives back the memory of what is not needed now. Nobody is busy.
func (r *Receiver) Rest() { r.inbox.batches = nil }

// Resting tells whether no memory is kept for batches.
func (r *Receiver) Resting() bool { return r.inbox.batches == nil }
