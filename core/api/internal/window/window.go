// Package window is what an application's hyperty has posted: how much of it is not worked off, and what the application is
// to be told of what is.
//
// A [Window] takes no lock and sends nothing: its owner guards it.
package window

import (
	"fmt"

	wire "github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/sdk/hyperty"
)

// dueAt is after how many units that are worked off the application is to be told, at the latest.
const dueAt = 64

// Window is the posts of one hyperty. The zero value is ready.
type Window struct {
	count   uint64      // of the posts
	held    int         // units of posts that are not worked off
	done    []wire.Span // posts that are worked off and that the application does not know of yet
	owed    int         // units of them
	tracked int         // posts of which the application is to be told what became of them
}

// Take numbers one more post, of so many units. The error is what an application may not do: to post more than the window
// allows, or to track too many posts. Such a post has its number all the same; it holds no units, and is not tracked.
func (w *Window) Take(units int, track bool) (number uint64, err error) {
	w.count++
	if w.held >= wire.Window {
		return w.count, fmt.Errorf("more than the window of %d units allows", wire.Window)
	}
	if track {
		if w.tracked >= hyperty.MaxTracked {
			return w.count, fmt.Errorf("more than %d messages are tracked", hyperty.MaxTracked)
		}
		w.tracked++
	}
	w.held += units
	return w.count, nil
}

// Told is told that the application knows what became of a post that it tracks.
func (w *Window) Told() { w.tracked-- }

// Done is told that a post is worked off. first tells whether it is the first that the application does not know of; due
// whether the application is to be told at once, because it is much.
func (w *Window) Done(number uint64, units int) (first, due bool) {
	w.held -= units
	w.owed += units
	n := len(w.done)
	if n > 0 && w.done[n-1].First+w.done[n-1].N == number {
		w.done[n-1].N++
	} else {
		w.done = append(w.done, wire.Span{First: number, N: 1})
	}
	return n == 0, w.owed >= dueAt
}

// Owed calls tell with the posts that are worked off and that the application does not know of yet. tell keeps nothing of
// them.
func (w *Window) Owed(tell func([]wire.Span)) {
	tell(w.done)
	w.done, w.owed = w.done[:0], 0
}
