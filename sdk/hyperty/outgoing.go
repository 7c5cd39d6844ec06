package hyperty

import (
	"slices"
	"time"

	"github.com/protofly/protofly/internal/apiwire"
)

// hesitation is how long the runtime may not know of responses that were taken; they go with something else.
const hesitation = time.Millisecond

// creditAt is after how many units the runtime is told, at the latest.
const creditAt = 64

// send queues a control frame.
func (conn *lockedConnection) send(f *apiwire.ApplicationFrame) {
	conn.control.Control(f)
	(*connection)(conn).poke()
}

// owe notes that a has taken something and that the runtime is to be told.
func (conn *lockedConnection) owe(a *attached) {
	if !a.owing {
		a.owing = true
		conn.owing = append(conn.owing, a)
	}
	if a.taken >= creditAt {
		(*connection)(conn).poke()
	}
}

// settle is called when everything that was read is handled: the runtime learns what was taken. That only responses were
// waits a little for something that it can go with.
func (conn *connection) settle() {
	conn.client.mu.Lock()
	defer conn.client.mu.Unlock()
	if len(conn.owing) == 0 {
		return
	}
	if slices.ContainsFunc(conn.owing, func(a *attached) bool { return a.taken > 0 }) {
		conn.poke()
	} else if !conn.hesitates {
		conn.hesitates = true
		conn.late.Reset(hesitation)
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

// collect takes what goes out next: first what is short, then messages.
func (conn *connection) collect(out *apiwire.Queue) {
	c := conn.client
	c.mu.Lock()
	defer c.mu.Unlock()
	out.Move(&conn.control)
	for _, a := range conn.owing {
		if a.owing { // else it was registered again
			credit := apiwire.Credit{Ref: a.ref, Units: uint32(a.taken), Responses: uint32(a.heard)}
			out.Credit(&credit)
			a.taken, a.heard, a.owing = 0, 0, false
		}
	}
	conn.owing, conn.hesitates = conn.owing[:0], false
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
