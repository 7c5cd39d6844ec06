package conn

import (
	"context"
	"errors"
	"strings"

	"github.com/coder/websocket"
)

// End ends the connection and waits for what it has started. Its reader calls it when it has ended, once.
func (c *Conn) End() {
	c.mu.Lock()
	c.closed = true
	c.locked().dropQueue()
	if c.pinger != nil {
		c.pinger.Stop()
	}
	c.mu.Unlock()
	c.cancel()
	c.ws.CloseNow()
	c.wg.Wait()
	c.Forfeit()
}

// dropQueue drops what waits to be written.
func (c *lockedConn) dropQueue() {
	c.all.Memory.Release(c.out.Empty()...)
}

// Kick closes the connection with a code and a reason, without waiting for it. What waited is dropped.
func (c *Conn) Kick(code websocket.StatusCode, reason string) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	c.locked().dropQueue()
	if c.ws == nil { // whoever made it closes it
		c.mu.Unlock()
		return
	}
	c.wg.Add(1) // under the lock that end takes before it waits
	c.mu.Unlock()
	c.all.o.Log.Info("closing a connection", "runtime", c.Runtime(), "code", int(code), "reason", reason)
	go func() {
		defer c.wg.Done()
		// The close frame waits behind a write that blocks, up to 5 s; then the connection is cut.
		_ = c.ws.Close(code, strings.ToValidUTF8(reason[:min(len(reason), 120)], ""))
		c.cancel()
	}()
}

// Lost ends the connection after an error.
func (c *Conn) Lost(err error) {
	if c.ctx.Err() == nil && !errors.Is(err, context.Canceled) {
		c.all.o.Log.Debug("connection lost", "runtime", c.Runtime(), "error", err)
	}
	c.cancel()
	c.ws.CloseNow()
}

// Forfeit cuts a connection that was kicked, and gives back at once what it kept.
func (c *Conn) Forfeit() {
	c.mu.Lock()
	c.all.Memory.Release(c.writing...)
	c.writing = nil // its writer has the packets still, and gives nothing back
	c.mu.Unlock()
	c.all.Memory.Add(-c.remembered.Swap(0))
	c.cancel() // its writer ends now, whatever blocks it
}

// Refuse closes the connection before it has been used, and waits for that.
func (c *Conn) Refuse(code websocket.StatusCode, reason string) { _ = c.ws.Close(code, reason) }

// Closed tells whether the connection was kicked or has ended.
func (c *Conn) Closed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}
