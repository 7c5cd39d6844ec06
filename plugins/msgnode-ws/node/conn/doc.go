// Package conn is one WebSocket connection of the node: what waits to be written to it, how its packets are read, how it is
// pinged and closed; and the set of all of them, with the memory that is kept for them.
//
// It knows nothing of runtimes' rights, of addresses or of NATS. An idle connection has one goroutine, its reader, which the
// user of the package starts. A writer runs while there is something to write, a pinger while a pong is awaited; [Conn.End]
// waits for both.
//
// The files are its verbs: read.go, write.go, ping.go, close.go. What waits is an outbox.Outbox, which the connection's lock
// guards: its rules, turns by bytes and dropping the newest packet of whoever has the most, are not those of internal/work's
// lanes, which refuse new items and never drop what they have taken.
package conn
