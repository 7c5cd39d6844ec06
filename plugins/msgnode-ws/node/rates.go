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
	paces      *quota.Buckets[quota.Source] // how fast an address gets what it may ask for at once; see pace.go
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

// charge takes what a request to a function of the node costs from its connection and from its address. The refusal says
// when to try again; then nothing has been done, and nothing taken.
func (n *Node) charge(c *conn, cost int) *refusal {
	now := time.Now()
	own := c.budget.ReserveN(now, min(cost, c.budget.Burst()))
	if wait := own.DelayFrom(now); wait > 0 {
		own.CancelAt(now)
		return tryAgain(wait, "too many requests: this connection may ask for %d units of work a second", n.opts.Limits.Requests)
	}
	if !c.from.IsValid() {
		return nil
	}
	if wait, ok := n.rates.requests.Take(c.from, cost, now); !ok {
		own.CancelAt(now)
		r := tryAgain(wait, "too many requests from your address: %d units of work a second", n.opts.Limits.AddressRequests)
		r.pause = crowdPause
		return r
	}
	c.holdUp(n.rates.paces.Reserve(c.from, cost, now), now)
	return nil
}

// strikeCost is what something that should not have been sent costs.
const strikeCost = 5

// strike is called by the connection's reader for what should not have been sent: a flood of it is read slowly.
func (c *conn) strike() {
	if r := c.node.charge(c, strikeCost); r != nil {
		c.pause(r.pause)
	}
}

// pause has the connection not read from for a while. Its reader calls it; others have their turns meanwhile.
func (c *conn) pause(d time.Duration) {
	if d > 0 {
		c.finish()
		wait(c.ctx, d)
	}
}

// afford is called before a read looks through the entries with a term: it refuses what costs more than the connection may
// spend now. all says that every one of them is wanted. However many there are, a read looks at a bounded number.
func (n *Node) afford(c *conn, term string, all bool) *refusal {
	count, bytes, results := n.registrations.Count(term), int(n.registrations.Weighs(term)), n.opts.Limits.Results
	if all {
		return n.charge(c, min(count, 2*results)/16+min(bytes, message.MaxBody)/1024) // all of it is encoded
	}
	return n.charge(c, min(count, maxLooked*results)/16+min(bytes, 2*maxCompared)/4096) // lists in it are looked at
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
