// Package apiwire is the wire of the local application API, over a Unix socket that only the runtime's own user can open.
// Applications use sdk/hyperty, which speaks it for them; core/api serves it.
//
// # The stream
//
// A connection carries everything of one application, in both directions. Each side first says [Preamble]; then come
// records: four bytes with the length of what follows, the lowest first, one byte that is the record's [Kind], and
//
//   - of a Control record a frame of api.proto,
//   - of a Carried record the hyperty's reference (four bytes, the lowest first), a byte of flags (1: an Outcome of this
//     post is wanted), and the message's binary form (sdk/message),
//   - of a Credits record unsigned varints: the fields of [Credit], and of its posts pairs of the number of the first and
//     how many.
//
// The application's first record is Hello, the runtime's first Welcome, or Farewell where the versions do not go together.
// A runtime of versions 1 and 2 answers with something else than the preamble, or not at all, as gRPC does.
//
// Whatever is queued goes out together, nothing waits for more, but for credit for posts, which waits a millisecond
// for something that it can go with. Each hyperty has a window of credit in each direction, so that a slow hyperty holds up
// neither its neighbours on the stream nor the responses that its own requests wait for.
//
// In the direction of the runtime a window is shared by the destinations: one that is behind gets half of what the
// others leave, so that posts to others go on. What the application has taken it says with the credit; what became of a
// post is told where it is wanted.
//
// What a window in the direction of the runtime has not given back when the stream breaks is in doubt: it may have
// been sent on or not. The application is told so, message by message; nothing is sent twice.
//
// # Questions
//
// A connection that begins otherwise is gRPC's: the calls of api.proto, for the command line.
package apiwire

//go:generate sh -c "protoc --plugin=protoc-gen-go=$(go tool -n protoc-gen-go) --plugin=protoc-gen-go-grpc=$(go tool -n protoc-gen-go-grpc) --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative -I ../../sdk/hyperty api.proto"

// Protocol is the version of the stream that this library speaks. Versions 1 and 2 were a stream of gRPC.
const Protocol = 3

// The window of a hyperty in one direction, and what a message costs of it.
const (
	Window = 1024    // units
	Unit   = 4 << 10 // bytes of a message's binary form that one more unit pays for
)

// MaxBatch is how many bytes a call of gRPC may carry in one piece.
const MaxBatch = 4 << 20

// Room tells whether a message of so many units may be posted when used units are, and toIt of them to its destination.
func Room(used, toIt, cost int) bool {
	return used < Window && (toIt == 0 || toIt+cost <= (Window-used)/2)
}

// Cost is the number of units that a message of size bytes costs.
func Cost(size int) int { return 1 + size/Unit }
