// Package apiwire is the wire of the local application API, over a Unix socket that only the runtime's own user can open.
// Applications use sdk/hyperty, which speaks it for them; core/api serves it.
//
// sdk/hyperty/PROTOCOL.md describes the wire, for clients in other languages too; the schema of the frames is api.proto beside it. This
// package has the records ([Reader], [Queue]), the cost of messages and the rule for destinations ([Cost], [Room]), and the code that
// protoc makes of the schema.
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
