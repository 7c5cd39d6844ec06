package message

import (
	"context"
	"errors"
)

// ErrBackpressure is in the error of a Post whose ctx ended while it waited for room, because the receiver, or the path to it,
// is behind. The message was not posted: try again later, or slow down. The error names the receiver.
var ErrBackpressure = errors.New("backpressure")

// ErrWouldBlock is the error of a call whose name begins with Try, which never waits, if it would have to wait. The call has
// done nothing; the call of the same name without Try does it, and waits.
var ErrWouldBlock = errors.New("it would have to wait")

// Handler is given the messages of an address, one at a time and in the order in which each sender posted them. It
// may block: then the address's inbox fills, and in the end its senders wait.
type Handler func(ctx context.Context, m Message)

// Bus carries messages: a MessageBus in the runtime's core, a MiniBus in a stub or an application.
type Bus interface {
	// Post hands m over. It returns when the bus has taken m, not when it has arrived; it blocks while the way is
	// full, until ctx ends: see [ErrBackpressure]. A zero ID is replaced.
	Post(ctx context.Context, m Message) error
	// Request posts m and returns its final response. A response counts only if it comes from the address that m is to, in
	// either spelling; a data object also answers for its subscription handler, and one function of a Message Node for
	// another of the same node. A zero ID is replaced by a random one. A response with an error code is not an error of Request
	// (see [Message.OK]). Where none comes in the bus's time (15 s unless it was told otherwise; provisional
	// responses start it again) it returns a response with code 408. An error means that m was not posted, or ctx
	// ended.
	Request(ctx context.Context, m Message) (Message, error)
	// Listen makes the bus call h for every message to the address at. Several listeners may share an address: each gets every
	// message. After stop has returned h is not called again; a call that is under way is not waited for.
	Listen(at URL, h Handler) (stop func())
}

// Default is the address of a MiniBus's default listener.
const Default URL = "*"
