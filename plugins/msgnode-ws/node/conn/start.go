package conn

import (
	"time"

	"github.com/coder/websocket"
)

// Start gives the connection its WebSocket, and begins to ping its client. False: it was kicked before.
func (c *Conn) Start(ws *websocket.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ws = ws
	if !c.closed {
		c.pinger = time.AfterFunc(c.all.o.Ping, c.ping)
	}
	return !c.closed
}
