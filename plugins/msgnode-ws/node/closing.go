package node

import (
	"context"
	"errors"
	"strings"

	"github.com/coder/websocket"
)

func (c *conn) end() {
	c.mu.Lock()
	c.closed = true
	c.dropQueue()
	c.pinger.Stop()
	c.mu.Unlock()
	c.cancel()
	c.ws.CloseNow()
	c.wg.Wait()
	c.forfeit()
}

// dropQueue gives up what waits. c.mu is held.
func (c *conn) dropQueue() {
	c.node.memory.Release(c.out.Empty()...)
}

// kick closes the connection with a code and a reason, without waiting for it. What waited is dropped.
func (c *conn) kick(code websocket.StatusCode, reason string) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	c.dropQueue()
	if c.ws == nil { // accept closes it
		c.mu.Unlock()
		return
	}
	c.wg.Add(1) // under the lock that end takes before it waits
	c.mu.Unlock()
	c.node.log.Info("closing a connection", "runtime", c.whose(), "code", int(code), "reason", reason)
	go func() {
		defer c.wg.Done()
		// The close frame waits behind a write that blocks, up to 5 s; then the connection is cut.
		_ = c.ws.Close(code, strings.ToValidUTF8(reason[:min(len(reason), 120)], ""))
		c.cancel()
	}()
}

// lost ends the connection after an error.
func (c *conn) lost(err error) {
	if c.ctx.Err() == nil && !errors.Is(err, context.Canceled) {
		c.node.log.Debug("connection lost", "runtime", c.whose(), "error", err)
	}
	c.cancel()
	c.ws.CloseNow()
}

// forfeit cuts a connection that was kicked, and gives back at once what it kept.
func (c *conn) forfeit() {
	c.mu.Lock()
	c.node.memory.Release(c.writing...)
	c.writing = nil // its writer has the packets still, and gives nothing back
	c.mu.Unlock()
	c.node.memory.Add(-c.remembered.Swap(0))
	c.cancel() // its writer ends now, whatever blocks it
}
