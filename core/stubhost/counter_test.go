//go:build unix

package stubhost_test

import (
	"bytes"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
)

// counter counts what is logged, and keeps the short lines.
type counter struct {
	n, bytes atomic.Int64

	mu   sync.Mutex
	kept []byte
}

func (c *counter) logger() hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Output: c, Level: hclog.Debug})
}

// Write implements io.Writer, for hclog.
func (c *counter) Write(b []byte) (int, error) {
	c.n.Add(1)
	c.bytes.Add(int64(len(b)))
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(b) < 500 && len(c.kept) < 1<<20 {
		c.kept = append(c.kept, b...)
	}
	return len(b), nil
}

func (c *counter) contains(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Contains(c.kept, []byte(text))
}

func (c *counter) count(text string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Count(c.kept, []byte(text))
}
