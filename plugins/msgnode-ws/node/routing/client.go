package routing

import (
	"github.com/protofly/protofly/plugins/msgnode-ws/node/admission"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/conn"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/peers"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/rates"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/sdk/message"
)

// Client is a connection with what the node knows of its runtime. Before it is attached, no messages go to it.
type Client struct {
	*conn.Conn
	*rates.Spending
	Ticket *quota.Ticket   // its place among the node's connections
	Guest  admission.Guest // what it may do here; set before it is attached
	Peers  *peers.Peers    // the runtimes to which it sends Data

	asked  peers.Questions // what it has sent, for NATS's notice that nobody wants it
	routes routes
}

// NewClient makes the client of a connection.
func NewClient(c *conn.Conn, s *rates.Spending, t *quota.Ticket) *Client {
	return &Client{Conn: c, Spending: s, Ticket: t, Peers: peers.New()}
}

// Refuse answers m with an error, unless it is a response. The reader's turn to compute ends with it: others do not wait while
// this connection is read slowly. Its reader calls it.
func (c *Client) Refuse(m message.Message, r *refusal.Refusal) {
	c.Finish()
	if m.Type != message.Response {
		c.SendMessage(r.Response(&m))
	}
	c.Pause(r.Pause)
}

// invited tells whether the connection asked for a message by a request.
func (c *Client) invited(m *message.Message) bool {
	return m.Type == message.Response && c.asked.Answered(m)
}
