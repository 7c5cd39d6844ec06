// Package outbox is what waits to be written to one connection, and the count of all that a node keeps in memory.
//
// [Outbox] decides whose packet is written next and whose is dropped where there is no room. It is told what happens, does
// no I/O and has no lock: its connection has one. [Memory] counts the bytes of [Packet]s, of which one may wait for several
// connections, with atomic numbers alone.
package outbox
