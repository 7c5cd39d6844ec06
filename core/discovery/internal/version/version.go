// Package version numbers the changes of something that others ask about again and again.
package version

import (
	"strconv"
	"strings"
)

// Counter counts changes. Its zero value is ready for use; Life tells the numbers of one process from those of another.
type Counter struct {
	Life string
	last uint64
}

// Next numbers one more change, from 1.
func (c *Counter) Next() uint64 {
	c.last++
	return c.last
}

// Text names all changes so far, for whoever asks what has changed after them.
func (c *Counter) Text() string { return c.Life + "." + strconv.FormatUint(c.last, 10) }

// After is the number that a Text has; 0 where it is of another process, or none.
func (c *Counter) After(text string) uint64 {
	life, number, _ := strings.Cut(text, ".")
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil || life != c.Life || n > c.last {
		return 0
	}
	return n
}
