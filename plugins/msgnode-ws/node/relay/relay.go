// Package relay takes the messages of all connections, whatever their dialect: it checks their from, gives those for a function
// of the node to that function, and the others to package routing (specification, "Message node", routing).
package relay

import (
	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/rates"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/rights"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/trace"
	"github.com/protofly/protofly/sdk/message"
)

// Options are what the relay works with.
type Options struct {
	Domain string
	Rates  *rates.Rates
	Rights *rights.Rights
	Router *routing.Router
	Trace  trace.Trace
	Log    hclog.Logger

	Allocation, Subscriptions, Registry Function
}

// Function is a function of the node. Its answer goes back on the connection that m came by.
type Function interface {
	Answer(c *routing.Client, m message.Message) (message.Message, *refusal.Refusal)
}

// Relay passes messages on.
type Relay struct{ o Options }

// New makes a relay.
func New(o Options) *Relay { return &Relay{o} }
