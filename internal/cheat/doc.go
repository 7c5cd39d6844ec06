// Package cheat has the common part of programs that are written to cheat: Message Nodes and plug-ins which alter,
// drop, repeat, reorder and invent what they carry, so that tests can show that this does no harm. It is for tests
// alone.
//
//   - [Cheat] decides when to cheat, by chance from a seed; counts each try by its kind in a file that the test reads
//     while the program runs; and keeps all bytes that the program has seen in another file, for the test to look for
//     what should not be in it.
//   - [Way] plays the tricks that can be played with opaque frames in one direction between two runtimes.
//
// A cheat is honest for a part of each second, so that traffic goes on and there is something to alter.
package cheat
