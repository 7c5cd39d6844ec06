package conn

import (
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/outbox"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/trace"
)

// Options are how the connections of a node are served.
type Options struct {
	Node   string        // the node's number in the domain, in stamps
	Queue  int64         // bytes that may wait for one connection
	Memory int64         // bytes that may be kept for all of them; 0: any number
	Write  time.Duration // until a packet is written; then the connection is closed
	Ping   time.Duration // between pings, and how long an answer may take
	Trace  trace.Trace
	Log    hclog.Logger
}

// shared is what a connection has in common with all others of its node.
type shared struct {
	Memory outbox.Memory // what is kept for all of them

	o       Options
	relieve func() // called when more is kept than may be
}
