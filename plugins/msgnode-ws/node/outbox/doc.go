// Package outbox is what waits to be written to one connection, and the count of all that a node keeps in memory.
//
// [Outbox] decides whose packet is written next and whose is dropped where there is no room. It is told what happens, does
// no I/O and has no lock: its connection has one. [Memory] counts the bytes of [Packet]s, of which one may wait for several
// connections, with atomic numbers alone.
//
// It is not internal/work's lane: it takes turns by bytes, and makes room for what comes by dropping the newest packet of the line
// that has the most, where a lane takes turns by items, refuses what comes, and drops nothing that it has taken.
package outbox
