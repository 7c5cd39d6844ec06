package conn

import (
	"time"

	"github.com/coder/websocket"
)

// Start gives the connection its WebSocket, and has its client pinged from now on. False: it was kicked before it had one.
func (c *Conn) Start(ws *websocket.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ws = ws
	if !c.closed {
		c.pinger = time.AfterFunc(c.all.o.Ping, c.ping)
	}
	return !c.closed
}
