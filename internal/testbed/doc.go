// Package testbed runs Protofly's programs for tests and examples, as processes on this machine.
//
// [Open] starts a Message Node and one or more runtimes with the plug-ins quic and msgnode-ws. All files are in one
// folder, which [Bed.Close] removes. On Linux the processes end with the process that started them.
// Open compiles the programs, so the current folder has to be in the project's checkout.
//
// The benchmarks need more control and use bench/rig, which starts processes by [Command] too.
package testbed
