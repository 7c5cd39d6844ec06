package node

import "github.com/protofly/protofly/plugins/msgnode-ws/node/quota"

// asker is whom the connection's turns are counted by.
func (c *conn) asker() quota.Asker {
	if c.from.IsValid() {
		return quota.Asker{From: c.from}
	}
	return quota.Asker{Conn: c.id}
}

// begin waits until the node may compute for c, if it may not already; its reader calls it. finish ends that, and may be called when
// it has ended.
func (c *conn) begin() error {
	if c.hasTurn {
		return nil
	}
	err := c.node.turns.Take(c.ctx, c.asker())
	c.hasTurn = err == nil
	return err
}

func (c *conn) finish() {
	if c.hasTurn {
		c.hasTurn = false
		c.node.turns.Give()
	}
}
