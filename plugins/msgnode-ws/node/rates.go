package node

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/sdk/message"
)

// rates are how often strangers may do what costs the node something. A burst is ten seconds' worth, of newcomers a fifth.
type rates struct {
	handshakes *quota.Buckets[quota.Source] // connections that want to show who they are
	newcomers  *quota.Buckets[quota.Source] // runtimes of which nothing is known
	requests   *quota.Buckets[quota.Source] // what requests cost, by address
	writers    *quota.Buckets[message.URL]  // writes to the state, by runtime: a new connection is no new right
	paces      *quota.Buckets[quota.Source] // how fast an address gets what it may ask for at once; see charge.go
	largest    int                          // what one request may cost on top: half of what may be asked for at once
}

func newRates(l Limits) *rates {
	const burst = 10
	return &rates{
		handshakes: quota.NewBuckets[quota.Source](rate.Limit(l.Handshakes), burst*l.Handshakes),
		newcomers:  quota.NewBuckets[quota.Source](rate.Every(time.Hour/time.Duration(l.Newcomers)), min(l.Newcomers, max(10, l.Newcomers/5))),
		requests:   quota.NewBuckets[quota.Source](rate.Limit(l.AddressRequests), burst*l.AddressRequests),
		writers:    quota.NewBuckets[message.URL](rate.Limit(l.Writes), burst*l.Writes),
		paces:      quota.NewBuckets[quota.Source](rate.Limit(paceRate*l.AddressRequests), max(1, l.AddressRequests/paceBurst)),
		largest:    burst * min(l.Requests, l.AddressRequests) / 2,
	}
}

// rowPrice is what each row costs that a request writes: of what takes longest, the disk, a cheap one.
const rowPrice = 5

// handshakePrice is what a WebSocket and the proof of a runtime cost, in the same units.
const handshakePrice = 25

// refusedPrice is how many connections a runtime costs its address, besides its own, that was refused as one new one too many:
// who goes on making keys is refused before the next proof is looked at. It costs no requests, which neighbours need that are
// connected.
const refusedPrice = 4

// longText is from which length on a request's text costs four times as much: it is read in one go, and others wait for that.
const longText = 64 << 10

// price is what a request to a function costs before it is looked at closely, in units of about 20 µs: one, five for a
// change, and more for a long text. Reads that find many, changes of many rows and what looks through all that a runtime
// has pay for that on top.
func price(m *message.Message) int {
	cost := 1 + min(len(m.Body), longText)/1024 + max(0, len(m.Body)-longText)/256
	if m.Type != message.Read {
		cost += rowPrice - 1
	}
	return cost
}

// What an address may ask for at once is ten seconds' worth, for a runtime that connects with all that it has. Computed as fast
// as it can be read that takes all processors for most of a second, of the node and of the runtime that messages are for. So
// an address gets it at a pace: connections that have asked for more are not read from for a while. Nothing is refused for that.
const (
	paceRate  = 4                      // times what an address may ask for in a second
	paceBurst = 16                     // the part of a second's worth that it gets without a pause
	leastWait = time.Millisecond       // for which a connection is not read from: timers are not much finer
	mostWait  = 500 * time.Millisecond // the same, however much other connections of its address have asked for
)
