package registry

import (
	"fmt"
	"slices"

	"github.com/protofly/protofly/sdk/message"
)

// moves is the specification's figure of a P2P connection's states: from each state, where it may go. An entry begins
// in created. Failed is the end: a new try is a new entry.
var moves = map[message.Status][]message.Status{
	message.Created:      {message.InProgress, message.Failed},
	message.InProgress:   {message.Live, message.Failed},
	message.Live:         {message.Disconnected},
	message.Disconnected: {message.Live},
	message.Failed:       {},
}

// MoveError is a state that a P2P connection cannot go to.
type MoveError struct {
	Remote   message.URL
	From, To message.Status
}

func (e *MoveError) Error() string {
	return fmt.Sprintf("P2P connection with %s: cannot go from %s to %s", e.Remote, e.From, e.To)
}

func mayMove(from, to message.Status) bool { return slices.Contains(moves[from], to) }

// pending tells whether a set-up is going on in this state.
func pending(s message.Status) bool { return s == message.Created || s == message.InProgress }
