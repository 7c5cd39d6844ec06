// Package rig runs Protofly's programs for benchmarks and for the quickstart: it builds the binaries, starts Message Nodes and
// runtimes as processes, ends them, kills them and starts them again.
//
// All files are in one folder, [House.Dir]. Unless House.Free is set, the processes end with this process, even if it is
// killed (on Linux).
package rig
