// Quickstart shows the main job of Protofly: two runtimes, each a process of its own, find each other through a
// Message Node, talk over it from the first moment, set up a direct connection, and move to it without losing,
// repeating or reordering a message.
//
//	go run ./examples/quickstart [-transport quic|webrtc|relay] [-domains 1|2] [-messages N] [-duration D] [-json] [-trace] [-keep]
//
// It builds the binaries, starts a Message Node (two with -domains 2) and two runtimes with their plug-ins, registers
// one application at each, and has both send numbered messages to the other. What it prints is what it saw: the
// receivers check every number, the states and ways come from the runtimes' own events and counters.
package main
