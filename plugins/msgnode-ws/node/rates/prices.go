package rates

import (
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// RowPrice is the price of each row that a request writes: low for what takes longest, a write to the disk.
const RowPrice = 5

// handshakePrice is what a WebSocket and the proof of a runtime cost, in the same units.
const handshakePrice = 25

// A new runtime that is refused since its address has brought too many costs the address refusedPrice connections besides its
// own: so a client that goes on making keys is refused before its next proof is checked. It costs no requests: connected
// neighbours need those.
const refusedPrice = 4

// A request's text of longText bytes or more costs four times as much: it is parsed in one go, and others wait for that.
const longText = 64 << 10

// Price is what a request to a function costs before it is looked at closely, in units of about 20 µs: one, five for a
// change, and more for a long text. Reads that find much, changes of many rows, and requests that look through all that
// a runtime has, cost more on top.
func Price(m *message.Message) int {
	cost := 1 + min(len(m.Body), longText)/1024 + max(0, len(m.Body)-longText)/256
	if m.Type != message.Read {
		cost += RowPrice - 1
	}
	return cost
}

// strikeCost is what something that should not have been sent costs.
const strikeCost = 5

// membersPerUnit is how many connections get a message for one unit of price.
const membersPerUnit = 32

// When a runtime connects, routesPerHandshake addresses that lead to it cost as much as a handshake.
const routesPerHandshake = 64

// What an address may ask for at once is ten seconds' worth, for a runtime that connects with all that it has. Computing that
// as fast as it can be read would take all processors of the node, and of the runtime to which the messages go, for most of a
// second. So an address gets it at a limited pace: connections that have asked for more are not read from for a while. Nothing
// is refused because of that.
const (
	paceRate  = 4                      // times what an address may ask for in a second
	paceBurst = 16                     // the part of a second's worth that it gets without a pause
	leastWait = time.Millisecond       // for which a connection is not read from: timers are not much finer
	mostWait  = 500 * time.Millisecond // the same, however much other connections of its address have asked for
)
