// Package testbed runs Protofly's programs for tests and examples: processes of their own, on this machine alone.
//
// [Open] gives a Message Node and one or more runtimes with the plug-ins quic and msgnode-ws. Everything that it makes is in one
// folder, which [Bed.Close] removes. Processes are bound to the life of the one that started them, where the system allows that.
// It has to be called in a folder of the project's checkout, whose programs it compiles.
//
// The benchmarks, which need more control, use bench/rig, which starts processes by [Command] as well.
package testbed
