package hyperty

import (
	"slices"
	"time"

	"github.com/protofly/protofly/internal/apiwire"
)

// hesitation is how long the credit for responses may wait for other frames to go with.
const hesitation = time.Millisecond

// creditAt is the most units for which credit is kept back.
const creditAt = 64

// send queues a control frame.
func (conn *lockedConnection) send(f *apiwire.ApplicationFrame) {
	conn.control.Control(f)
	(*connection)(conn).poke()
}

// owe notes that the runtime is to be told what became of messages for a: at once where that is much, or where nothing else waits
// for a's handlers; else in a while.
func (conn *lockedConnection) owe(a *attached) {
	if !a.owing {
		a.owing = true
		conn.owing = append(conn.owing, a)
	}
	switch {
	case a.settling.units >= creditAt || a.settling.units > 0 && a.intake.units == 0 && !conn.reading:
		(*connection)(conn).poke()
	case !conn.hesitates && !conn.reading:
		conn.hesitate()
	}
}

func (conn *lockedConnection) hesitate() {
	conn.hesitates = true
	conn.late.Reset(hesitation)
}

// settle is called when all that was read has been handled. It sends the runtime credit; credit for responses alone waits a
// little for other frames to go with.
func (conn *connection) settle() {
	conn.client.mu.Lock()
	defer conn.client.mu.Unlock()
	conn.reading = false
	if len(conn.owing) == 0 {
		return
	}
	if slices.ContainsFunc(conn.owing, func(a *attached) bool { return a.settling.units > 0 }) {
		conn.poke()
	} else if !conn.hesitates {
		conn.locked().hesitate()
	}
}

// markDirty makes the connection send what is queued.
func (a *lockedAttached) markDirty(conn *connection) {
	if !a.dirty {
		a.dirty = true
		conn.dirty = append(conn.dirty, (*attached)(a))
		conn.poke()
	}
}

// collect moves to out what is to be sent next: first what became of messages that came, so that a hyperty's end comes behind it,
// then control frames, then messages.
func (conn *connection) collect(out *apiwire.Queue) {
	c := conn.client
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range conn.owing {
		if a.owing { // else it was registered again
			a.settling.tell(a.ref, a.heard, out)
			a.heard, a.owing = 0, false
		}
	}
	conn.owing, conn.hesitates = conn.owing[:0], false
	out.Move(&conn.control)
	for _, a := range conn.dirty {
		if !a.dirty {
			continue
		}
		a.dirty = false
		for _, r := range a.queue {
			a.posts++
			a.sent.add(a.posts, r)
			if r.track {
				if t := a.tracked[r.id.Key()]; t != nil {
					t.out = true
				}
			}
		}
		out.Move(&a.records)
		a.queue = a.queue[:0]
	}
	clear(conn.dirty)
	conn.dirty = conn.dirty[:0]
}

func (conn *connection) onlyOwes() bool {
	conn.client.mu.Lock()
	defer conn.client.mu.Unlock()
	return conn.control.Size() == 0 && len(conn.dirty) == 0
}

// poke wakes the writer.
func (conn *connection) poke() {
	select {
	case conn.kick <- struct{}{}:
	default:
	}
}
