// Package outbox has the queue of one connection's packets, and the count of all bytes that a node keeps in memory.
//
// [Outbox] decides whose packet is written next, and whose is dropped if there is no room. It does no I/O and has no lock:
// its connection has one. [Memory] counts the bytes of [Packet]s, of which one may wait for several connections, with
// atomic numbers alone.
//
// It does not use the lane of internal/work. An outbox takes turns by bytes, and makes room for new packets by dropping the
// newest one of the line that has the most. A lane takes turns by items, refuses new ones, and drops nothing that it has taken.
package outbox
