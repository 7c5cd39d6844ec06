package connections

import (
	"fmt"

	"github.com/protofly/protofly/sdk/message"
)

// mayMove is the specification's figure of a P2P connection's states: whether one may go from a state to another. A connection begins
// in created. Failed is the end: a new try is a new connection.
func mayMove(from, to message.Status) bool {
	switch from {
	case message.Created:
		return to == message.InProgress || to == message.Failed
	case message.InProgress:
		return to == message.Live || to == message.Failed
	case message.Live:
		return to == message.Disconnected
	case message.Disconnected:
		return to == message.Live
	}
	return false
}

// Pending tells whether a set-up is going on in this state.
func Pending(s message.Status) bool { return s == message.Created || s == message.InProgress }

// MoveError is a state that a P2P connection cannot go to.
type MoveError struct {
	Remote   message.URL
	From, To message.Status
}

func (e *MoveError) Error() string {
	return fmt.Sprintf("P2P connection with %s: cannot go from %s to %s", e.Remote, e.From, e.To)
}
