package sdk

import (
	"context"
	"encoding/json"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/internal/link"
	"github.com/protofly/protofly/sdk/message"
)

// Kind is what a stub is for.
type Kind string

// The kinds of stubs (specification, "Protostub lifecycle").
const (
	KindNode Kind = "node" // a Message Node's stub
	KindP2P  Kind = "p2p"  // the P2P Requester and the P2P Handler of one transport
)

// Role is the part that an instance of a stub plays.
type Role string

// The roles of an instance.
const (
	RoleNode      Role = "node"
	RoleRequester Role = "requester"
	RoleHandler   Role = "handler"
)

// Descriptor is what a plug-in says of itself (specification, "Catalogue": the stub's descriptor).
type Descriptor struct {
	Name    string `json:"name"`    // as operators write it in a config: lower-case letters, digits, hyphens
	Version string `json:"version"` // of the plug-in, for people
	Kind    Kind   `json:"kind"`
	About   string `json:"about,omitempty"` // one line for "protofly plugins list"
	// Options is what operators may write under stubs.<name>; nil: the plug-in does not say, and the runtime checks nothing.
	Options []Option `json:"options,omitzero"`
}

// Start is what an instance of a stub is given.
type Start struct {
	URL     message.URL // the stub's own URL; the door of a Message Node stub and of a Requester
	Runtime message.URL // the runtime that it serves
	Role    Role
	Domain  string          // RoleNode: the domain whose Message Node it reaches
	Remote  message.URL     // RoleRequester: the remote runtime
	Handler message.URL     // RoleRequester: the remote runtime's Handler
	Config  json.RawMessage // the operator's configuration of this stub: an object, or empty
	// Restarted says that an earlier process with this instance has crashed: a Requester then waits for
	// "execute connect" instead of setting up at once.
	Restarted bool
	Doors     Doors
	Log       hclog.Logger
}

// Stub is what an author of a plug-in implements; [Serve] does the rest.
type Stub interface {
	// Run is one instance of the stub. It returns when ctx ends, or with an error when it cannot go on: then the
	// host starts it again with backoff. bus is the instance's MiniBus. Several instances run in one process.
	Run(ctx context.Context, bus message.Bus, start Start) error
}

// Doors open the doors of an instance. The frames that pass a door are made, sealed and read by runtimes alone.
type Doors interface {
	// Open opens the door with the URL, which is the instance's own or one below it. Frames that came for it earlier
	// are lost. It fails where the door is open, and when the instance has ended.
	Open(url message.URL) (Door, error)
}

// Door is a path for frames to other runtimes and from them, under one URL. Frames keep their order in each direction. One goroutine may receive and
// any number may send.
type Door interface {
	// Recv returns the frames that the core wants sent: at least one, and what else is there up to about 256 KiB. The
	// slice and the frames belong to the caller until its next Recv, which lets the core send more. The error is
	// ctx's, or io.EOF when the door is closed.
	Recv(ctx context.Context) ([]Frame, error)
	// Send gives the core frames that came in. It blocks while the core is behind. The payloads may be reused when
	// it has returned. The error is ctx's, [ErrDoorClosed], or says that a frame is larger than [MaxFrame].
	Send(ctx context.Context, frames ...Frame) error
	// Close closes the door; the core's frames for it are refused from then on.
	Close() error
}

// Pumped is a [Door] that calls a function with its frames, which takes less time than [Door.Recv] where few frames come at a
// time. The doors that a plug-in opens implement it.
type Pumped interface {
	// Pump gives the frames that the core wants sent to handle, in order and one call at a time, until ctx or the door
	// ends; the error is as Recv's. The frames must not be used after handle has returned. Where few frames have come and
	// none wait, prompt gets them first, unless it is nil. It is called by the goroutine that reads the link, so it must not
	// block. It returns whether it took the frames; where it did not, handle gets them.
	Pump(ctx context.Context, prompt func([]Frame) bool, handle func([]Frame)) error
}

// MaxFrame is the largest payload of a frame, in bytes.
const MaxFrame = link.MaxFrame

// Frame is one opaque frame: {Peer message.URL; Payload []byte}. Peer is used by Message Node stubs only: the remote
// runtime that the frame is for, or comes from.
type Frame = link.Frame

// ErrDoorClosed is the error of sending by a door that was closed, or whose link has ended.
var ErrDoorClosed = link.ErrClosed
