package conn

import (
	"context"
	"fmt"
)

// ping notices a client that has gone without a close. The timer calls it, and it sets the timer again.
func (c *Conn) ping() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.wg.Add(1) // under the lock that end takes before it waits
	c.mu.Unlock()
	defer c.wg.Done()
	ctx, cancel := context.WithTimeout(c.ctx, c.all.o.Ping)
	err := c.ws.Ping(ctx)
	cancel()
	if err != nil {
		c.Lost(fmt.Errorf("no answer to a ping: %w", err))
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.pinger.Reset(c.all.o.Ping)
	}
}
