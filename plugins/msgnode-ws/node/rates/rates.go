package rates

import (
	"context"
	"time"

	"golang.org/x/time/rate"

	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/limits"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/sdk/message"
)

// Rates bound how often strangers may do what costs the node something. A burst is ten seconds' worth; for newcomers it is a
// fifth of an hour's. Any goroutine may use them.
type Rates struct {
	arrivals   *quota.Buckets[quota.Source] // TCP connections
	handshakes *quota.Buckets[quota.Source] // connections that begin a handshake
	newcomers  *quota.Buckets[quota.Source] // runtimes of which nothing is known
	requests   *quota.Buckets[quota.Source] // what requests cost, by address
	writers    *quota.Buckets[message.URL]  // writes to the state, by runtime, whatever its connection
	paces      *quota.Buckets[quota.Source] // how fast an address gets what it may ask for at once; see [paceRate]
	limits     limits.Limits
	Turns      quota.Turns // to compute what connections ask for
}

const burst = 10 // seconds

// New makes full buckets.
func New(l limits.Limits) *Rates {
	return &Rates{
		arrivals:   quota.NewBuckets[quota.Source](rate.Limit(2*l.Handshakes), 2*burst*l.Handshakes),
		handshakes: quota.NewBuckets[quota.Source](rate.Limit(l.Handshakes), burst*l.Handshakes),
		newcomers:  quota.NewBuckets[quota.Source](rate.Every(time.Hour/time.Duration(l.Newcomers)), min(l.Newcomers, max(10, l.Newcomers/5))),
		requests:   quota.NewBuckets[quota.Source](rate.Limit(l.AddressRequests), burst*l.AddressRequests),
		writers:    quota.NewBuckets[message.URL](rate.Limit(l.Writes), burst*l.Writes),
		paces:      quota.NewBuckets[quota.Source](rate.Limit(paceRate*l.AddressRequests), max(1, l.AddressRequests/paceBurst)),
		limits:     l,
	}
}

// Arrive tells whether an address may make one more TCP connection now.
func (r *Rates) Arrive(from quota.Source, now time.Time) bool {
	_, ok := r.arrivals.Take(from, 1, now)
	return ok
}

// Request takes what one HTTP request of an address costs, or says when to try again.
func (r *Rates) Request(from quota.Source, now time.Time) (wait time.Duration, ok bool) {
	return r.requests.Take(from, 1, now)
}

// WebSocket takes what a WebSocket and its handshake cost an address, or returns which limit was reached and when to try again.
func (r *Rates) WebSocket(from quota.Source, now time.Time) (wait time.Duration, tooMany string) {
	if wait, ok := r.handshakes.Take(from, 1, now); !ok {
		return wait, "too many connections from your address, one after the other"
	}
	if wait, ok := r.requests.Take(from, handshakePrice, now); !ok {
		return wait, "too many requests from your address"
	}
	return 0, ""
}

// Return takes what it costs an address that a runtime to which many addresses lead connects from it, or says when to try
// again.
func (r *Rates) Return(from quota.Source, routes int, now time.Time) (wait time.Duration, ok bool) {
	if routes <= routesPerHandshake {
		return 0, true
	}
	return r.handshakes.Take(from, routes/routesPerHandshake, now)
}

// Newcomer counts one more runtime, unknown to the node, of an address, or says when to try again; a refusal costs the address
// connections.
func (r *Rates) Newcomer(from quota.Source, now time.Time) (wait time.Duration, ok bool) {
	if wait, ok = r.newcomers.Take(from, 1, now); !ok {
		r.handshakes.Fine(from, refusedPrice, now)
	}
	return wait, ok
}

// Write counts a runtime's writes of rows to the state, or says when to try again.
func (r *Rates) Write(runtime message.URL, rows int, now time.Time) (wait time.Duration, ok bool) {
	return r.writers.Take(runtime, rows, now)
}

// PaceHandshake waits until an address may have one more handshake, of TLS or of a WebSocket, or until ctx ends.
func (r *Rates) PaceHandshake(ctx context.Context, from quota.Source) {
	if !from.IsValid() {
		return
	}
	if d := r.paces.Reserve(from, handshakePrice, time.Now()); d > leastWait {
		backoff.Sleep(ctx, min(d, mostWait))
	}
}

// PassingPrice is the price of passing m on to so many connections: a publication goes to all listeners, which may be
// thousands.
func (r *Rates) PassingPrice(m *message.Message, receivers int) int {
	cost := (1 + len(m.Body)/(16<<10)) * (1 + receivers/membersPerUnit)
	return min(cost, r.limits.Requests) // else it would never be allowed
}

// RowsPrice is the price of writing so many rows beyond the first one, which the price of the request includes.
func (r *Rates) RowsPrice(rows int) int {
	largest := burst * min(r.limits.Requests, r.limits.AddressRequests) / 2 // half of what may be asked for at once
	return min(RowPrice*(rows-1), largest)
}
