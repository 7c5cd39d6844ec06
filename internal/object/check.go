package object

import "time"

// wholesPerMinute is how often a copy that differs from its object is fetched anew.
const wholesPerMinute = 6

// Check compares a copy of an object with the hashes in the object's updates, and bounds how often a copy that differs is fetched
// anew. The zero value is ready. The lock that guards the copy guards its Check too.
type Check struct {
	foreign bool      // the other side counts hashes in another way: they say nothing
	since   time.Time // when the minute began that asked is of; it may be still to come
	asked   int
}

// Whole is told of a whole value that has come, and of its metadata.
func (c *Check) Whole(meta Metadata, doc Document) { c.foreign = doc.Differs(meta.Hash) }

// Differs tells whether a copy that has followed an update is another one than the update says.
func (c *Check) Differs(u *Update, copied Document) bool { return !c.foreign && copied.Differs(u.Hash) }

// Ask counts one more time that the object is fetched anew because a copy differs, and returns how long that has to wait.
func (c *Check) Ask(now time.Time) time.Duration {
	if now.Sub(c.since) >= time.Minute {
		c.since, c.asked = now, 0
	}
	if c.asked++; c.asked <= wholesPerMinute {
		return max(0, c.since.Sub(now))
	}
	c.since, c.asked = c.since.Add(time.Minute), 1
	return c.since.Sub(now)
}
