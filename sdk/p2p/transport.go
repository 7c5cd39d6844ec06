package p2p

import (
	"context"
	"encoding/json"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/sdk/message"
)

// Role is the side of a set-up: the Requester offers, the Handler answers.
type Role int

// The two roles.
const (
	Requester Role = iota
	Handler
)

// Signal is one step of a transport's signalling. Its Value is the transport's own JSON object; everybody else passes
// on what it says. The first signal of each side is its description: it is signed by that side's runtime, and checked
// before the other side's transport is given it. What authenticates the channel belongs there and nowhere else.
// Candidates are not signed: whoever carries them may change them, so they say where a side may be reached, never who it is.
type Signal struct {
	Kind  SignalKind
	Value json.RawMessage
}

// SignalKind says where in the Connection data object a signal is kept.
type SignalKind int

// A description is the object's connectionDescription, one for each side, signed; a candidate is an item of its
// iceCandidates, not signed.
const (
	Description SignalKind = iota
	Candidate
)

// Limits of one side's signals.
const (
	MaxDescription = 64 << 10 // bytes of a description
	MaxCandidate   = 4 << 10  // bytes of a candidate
	MaxCandidates  = 64       // candidates; further ones of the other side are dropped
)

// Signals is a set-up's way to the other side while there is no channel: updates of this side's Connection object
// out, changes of the observed one in. Both keep their order. They end when the set-up does. Both methods may be called
// from any goroutine.
type Signals interface {
	// Send hands a signal over. It is an error where it breaks a limit or comes out of turn.
	Send(ctx context.Context, s Signal) error
	// Recv waits for the other side's next signal: first its description, then candidates for as long as the set-up
	// takes; there is no mark after the last. The value is whatever the other side wrote, in compact form: it is to be
	// checked.
	Recv(ctx context.Context) (Signal, error)
}

// Peer names the two ends of a set-up.
type Peer struct {
	Local, Remote message.URL // runtimes
	Role          Role
}

// Transport sets up channels. An author of a new transport implements this and [Channel] and nothing else. Connect
// is called from many goroutines.
type Transport interface {
	// Connect sets up one channel. It returns when frames can be sent, or with an error when ctx ends or the set-up
	// cannot succeed; it leaves nothing behind then. After it has returned it uses signals no more. The channel
	// does not end with ctx. Whoever holds its other end must have shown the certificate of the description that signals
	// gave; package p2p then has both ends prove that they are the two runtimes, with the first frame each way.
	Connect(ctx context.Context, peer Peer, signals Signals) (Channel, error)
	// Close ends every channel and frees what the transport holds.
	Close() error
}

// Channel is a reliable and ordered way for whole frames of up to sdk.MaxFrame bytes, with an end-to-end keep-alive: a
// dead peer ends it within 15 s. Send and Recv may run at the same time; each is called from one goroutine. Where the
// ctx of a Send or Recv ends while it waits, it returns soon. Afterwards only Close may be called on the channel.
type Channel interface {
	// Send sends the frames in order, and blocks while too many bytes are under way. The frames may
	// be reused when it has returned. A frame that is too large is an error.
	Send(ctx context.Context, frames ...[]byte) error
	// Recv returns the next frame; it belongs to the caller until the next Recv. A channel that has ended gives an
	// error that says why (io.EOF: the other side closed it).
	Recv(ctx context.Context) ([]byte, error)
	// Close ends the channel at once; the other side sees io.EOF, unless a Send is blocked. Frames that are still under
	// way may be lost. It frees a blocked Send and Recv, and may be called at any time, more than once.
	Close() error
}

// Prompt is a [Channel] that can tell whether a Send would wait: that spares small frames a goroutine's start.
type Prompt interface {
	// TrySend sends the frames if that need not wait, and else tells so, and has sent nothing. It does not run while
	// Send does.
	TrySend(frames ...[]byte) bool
}

// Config is what a transport is made from.
type Config struct {
	Options json.RawMessage // the operator's configuration, an object or empty; unknown members are errors
	Log     hclog.Logger
}

// New makes the one Transport of a plug-in's process, when its first instance starts.
type New func(Config) (Transport, error)
