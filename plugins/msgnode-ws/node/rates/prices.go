package rates

import (
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// RowPrice is what each row costs that a request writes: of what takes longest, the disk, a cheap one.
const RowPrice = 5

// handshakePrice is what a WebSocket and the proof of a runtime cost, in the same units.
const handshakePrice = 25

// refusedPrice is how many connections a runtime costs its address, besides its own, that was refused as one new one too many:
// who goes on making keys is refused before the next proof is looked at. It costs no requests, which neighbours need that are
// connected.
const refusedPrice = 4

// longText is from which length on a request's text costs four times as much: it is read in one go, and others wait for that.
const longText = 64 << 10

// Price is what a request to a function costs before it is looked at closely, in units of about 20 µs: one, five for a
// change, and more for a long text. Reads that find many, changes of many rows and what looks through all that a runtime
// has pay for that on top.
func Price(m *message.Message) int {
	cost := 1 + min(len(m.Body), longText)/1024 + max(0, len(m.Body)-longText)/256
	if m.Type != message.Read {
		cost += RowPrice - 1
	}
	return cost
}

// strikeCost is what something that should not have been sent costs.
const strikeCost = 5

// membersPerUnit is how many connections get a message for what one unit of work is.
const membersPerUnit = 32

// routesPerHandshake is how many addresses that lead to a runtime cost as much as a handshake when it connects.
const routesPerHandshake = 64

// What an address may ask for at once is ten seconds' worth, for a runtime that connects with all that it has. Computed as fast
// as it can be read that takes all processors for most of a second, of the node and of the runtime that messages are for. So
// an address gets it at a pace: connections that have asked for more are not read from for a while. Nothing is refused for that.
const (
	paceRate  = 4                      // times what an address may ask for in a second
	paceBurst = 16                     // the part of a second's worth that it gets without a pause
	leastWait = time.Millisecond       // for which a connection is not read from: timers are not much finer
	mostWait  = 500 * time.Millisecond // the same, however much other connections of its address have asked for
)
