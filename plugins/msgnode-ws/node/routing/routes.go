package routing

import (
	"sync"

	"github.com/protofly/protofly/sdk/message"
)

// routes are the addresses whose messages go to a connection, besides those under its runtime's URL.
type routes struct {
	mu    sync.Mutex
	why   map[message.URL]Reason // by canonical address
	ended bool                   // the connection is detached: it gets no more routes
}

// Reason is why an address leads to a connection; there may be several.
type Reason uint8

const (
	Allocated Reason = 1 << iota
	Subscribed
	Learned // a connection of the JSON dialects has sent from it
)
