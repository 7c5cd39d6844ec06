// Package limits counts what components and other runtimes have the sync manager keep, and refuses what is too much. It
// takes no lock: its owner guards it.
package limits

import (
	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/sdk/message"
)

// Limits bound what components and other runtimes can make the sync manager keep. A zero field is its default.
type Limits struct {
	Objects      int // reported and observed, in all; 65,536
	PerComponent int // reported by one component, and observed by one; 16,384
	Observers    int // of one object: components of this runtime, and the same of each remote runtime; 1,024
	Remotes      int // runtimes that observe one object; 4,096
	Bytes        int // data of all objects; 256 MiB
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		field *int
		value int
	}{{&l.Objects, 1 << 16}, {&l.PerComponent, 1 << 14}, {&l.Observers, 1 << 10}, {&l.Remotes, 1 << 12}, {&l.Bytes, 256 << 20}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return l
}

// What is kept of the components of one remote runtime that observe objects here, and what one of them counts besides its
// address.
const (
	maxRemoteBytes     = 4 << 20
	remoteObserverSize = 64
)

// Usage is how much of the limits is used. It is made by [New].
type Usage struct {
	limits   Limits
	reported map[message.URL]int // objects, by reporter
	observed map[message.URL]int // objects, by observer of this runtime
	remote   map[message.URL]int // bytes of what is kept of observers elsewhere, by remote runtime
	data     int                 // bytes of all objects
}

// New is a usage of nothing.
func New(l Limits) *Usage {
	return &Usage{
		limits: l.withDefaults(), reported: make(map[message.URL]int), observed: make(map[message.URL]int), remote: make(map[message.URL]int),
	}
}

// Limits are the limits in force.
func (u *Usage) Limits() Limits { return u.limits }

// SetLimits has other limits be in force from now on.
func (u *Usage) SetLimits(l Limits) { u.limits = l.withDefaults() }

// Reporter refuses one more object of a reporter. objects is how many there are, reported and observed.
func (u *Usage) Reporter(reporter message.URL, objects int) error {
	return room(objects < u.limits.Objects && u.reported[reporter.Canonical()] < u.limits.PerComponent)
}

// Observer refuses one more object of an observer of this runtime.
func (u *Usage) Observer(observer message.URL) error {
	return room(u.observed[observer.Canonical()] < u.limits.PerComponent)
}

// Objects refuses one more object. objects is how many there are, reported and observed.
func (u *Usage) Objects(objects int) error { return room(objects < u.limits.Objects) }

func room(is bool) error {
	if !is {
		return protocol.Refuse(message.CodeTooMany, "too many data objects")
	}
	return nil
}

// AddReported counts n objects more of a reporter.
func (u *Usage) AddReported(reporter message.URL, n int) { add(u.reported, reporter.Canonical(), n) }

// AddObserved counts n objects more of an observer of this runtime.
func (u *Usage) AddObserved(observer message.URL, n int) { add(u.observed, observer.Canonical(), n) }

// AddRemote counts one more observer of a remote runtime. Where that is refused nothing has changed.
func (u *Usage) AddRemote(remote, observer message.URL) error {
	size := remoteObserverSize + len(observer)
	if u.remote[remote]+size > maxRemoteBytes {
		return protocol.Refuse(message.CodeTooMany, "too many observers of one runtime")
	}
	u.remote[remote] += size
	return nil
}

// DropRemote takes back what AddRemote has counted.
func (u *Usage) DropRemote(remote, observer message.URL) {
	add(u.remote, remote, -remoteObserverSize-len(observer))
}

// Grow counts n bytes more of data, which may be negative. Where that is refused nothing has changed.
func (u *Usage) Grow(n int) error {
	if n > 0 && u.data+n > u.limits.Bytes {
		return protocol.Refuse(message.CodeTooMany, "the data objects of this runtime need too much memory")
	}
	u.data += n
	return nil
}

// Counts is how much there is: reporters and observers of this runtime, remote runtimes that observe, and bytes of data.
func (u *Usage) Counts() (reporters, observers, remotes, bytes int) {
	return len(u.reported), len(u.observed), len(u.remote), u.data
}

// add adds n to the count of a key, which is not kept at 0.
func add(counts map[message.URL]int, key message.URL, n int) {
	if counts[key] += n; counts[key] == 0 {
		delete(counts, key)
	}
}
