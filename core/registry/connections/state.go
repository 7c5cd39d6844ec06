package connections

import (
	"fmt"

	"github.com/protofly/protofly/sdk/message"
)

// mayMove is the specification's figure of a P2P connection's states: whether a connection may go from one state to another.
// It begins in created. Failed is the end: a new attempt is a new connection.
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

// Pending tells whether a connection in this state is being set up.
func Pending(s message.Status) bool { return s == message.Created || s == message.InProgress }

// MoveError is the error of a state to which a P2P connection cannot go.
type MoveError struct {
	Remote   message.URL
	From, To message.Status
}

func (e *MoveError) Error() string {
	return fmt.Sprintf("P2P connection with %s: cannot go from %s to %s", e.Remote, e.From, e.To)
}
