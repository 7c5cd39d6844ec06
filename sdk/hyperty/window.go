package hyperty

import (
	"maps"

	"github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/sdk/message"
)

// window is how much of what a hyperty has posted is on the way to the runtime or waits there, in units of [apiwire.Cost]: in all
// and to each destination. The zero value has nothing on the way.
type window struct {
	used   int
	usedBy map[destination]*int
	lastTo destination // of the message before; lastBy is its entry in usedBy
	lastBy *int
}

// destination is a receiver, or the responses to one. Where it is behind, what is posted to it waits, and what is posted to others goes
// on.
type destination struct {
	url      message.URL
	response bool
}

// maxIdle is how many destinations to which nothing is on the way are remembered.
const maxIdle = 64

// by is how many units are on the way to a destination. A caller may keep the pointer: it stays valid while any are.
func (w *window) by(to destination) *int {
	if w.lastBy != nil && w.lastTo == to {
		return w.lastBy
	}
	by := w.usedBy[to]
	if by == nil {
		if len(w.usedBy) >= maxIdle { // those in use are bounded by the window
			maps.DeleteFunc(w.usedBy, func(_ destination, by *int) bool { return *by == 0 })
		}
		if w.usedBy == nil {
			w.usedBy = map[destination]*int{}
		}
		by = new(int)
		w.usedBy[to] = by
	}
	w.lastTo, w.lastBy = to, by
	return by
}

// room tells whether a message of so many units may be posted to the destination to which by belongs.
func (w *window) room(by *int, cost int) bool { return apiwire.Room(w.used, *by, cost) }

// take notes a message that is on the way.
func (w *window) take(by *int, cost int) {
	w.used += cost
	*by += cost
}

// free notes that a message is not on the way any more.
func (w *window) free(r receipt) {
	w.used -= r.cost
	*r.by -= r.cost
}
