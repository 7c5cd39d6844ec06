// Package missed is which objects remote runtimes may have missed something of: what was published to them, an update, a notice or
// the end of an object, was given up on the way, or refused there. Nobody says it again, so that an observer would not notice before
// the next update, which may never come.
//
// A [Table] has it until the runtime says that it knows: it is told with each answer to the question whether this runtime is there, and
// fetches the objects anew. What it is told has a number, which it says in its next question.
//
// A Table takes no lock, sends nothing and reads no clock: its owner guards it and tells it what happened and when. What it keeps is
// bounded: of one runtime, and of all, it remembers so many addresses; of more it says only that all of the runtime's objects are to
// be fetched.
package missed

import (
	"slices"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// Limits of a [Table].
const (
	MaxEach = 32        // addresses of one runtime
	MaxAll  = 4096      // addresses of all runtimes together
	Keep    = time.Hour // a runtime that observes asks much more often
)

// Table is what remote runtimes may have missed. The zero value is one of nothing.
type Table struct {
	last  uint64 // number of the last note
	by    map[message.URL]*notes
	count int // addresses in all
}

// notes are those about one runtime.
type notes struct {
	objects map[message.URL]uint64 // the number of the last note about an object
	all     uint64                 // that of the last note about more objects than are remembered; 0: there is none
	until   time.Time
}

// News is what a runtime is told. The zero value is nothing.
type News struct {
	Number  uint64       `json:"number"`        // to be said by a runtime that has heard it
	All     bool         `json:"all,omitempty"` // all objects that it observes are to be fetched anew
	Objects message.URLs `json:"objects,omitempty"`
}

// Add notes that a runtime may have missed something of an object.
func (t *Table) Add(now time.Time, remote, object message.URL) {
	n := t.by[remote]
	if n == nil {
		if t.by == nil {
			t.by = make(map[message.URL]*notes)
		}
		n = &notes{objects: make(map[message.URL]uint64)}
		t.by[remote] = n
	}
	t.last++
	n.until = now.Add(Keep)
	if _, known := n.objects[object]; !known && (n.all > 0 || len(n.objects) >= MaxEach || t.count >= MaxAll) {
		n.all = t.last
		return
	}
	t.count -= len(n.objects)
	n.objects[object] = t.last
	t.count += len(n.objects)
}

// Tell is what a runtime is to be told, which has heard everything up to the number heard.
func (t *Table) Tell(remote message.URL, heard uint64) (news News) {
	n := t.by[remote]
	if n == nil {
		return News{}
	}
	t.count -= len(n.objects)
	for object, number := range n.objects {
		if number <= heard {
			delete(n.objects, object)
			continue
		}
		news.Objects = append(news.Objects, object)
		news.Number = max(news.Number, number)
	}
	t.count += len(n.objects)
	if n.all <= heard {
		n.all = 0
	}
	if n.all > 0 {
		return News{Number: max(news.Number, n.all), All: true}
	}
	if len(n.objects) == 0 {
		delete(t.by, remote)
	}
	slices.Sort(news.Objects)
	return news
}

// Forget drops what there is about a runtime: it has ended, and asks for everything when it comes back.
func (t *Table) Forget(remote message.URL) {
	if n := t.by[remote]; n != nil {
		t.count -= len(n.objects)
		delete(t.by, remote)
	}
}

// Expire drops what is so old that its runtime does not ask any more, and tells when to call it again; ok is false where nothing is left.
func (t *Table) Expire(now time.Time) (next time.Time, ok bool) {
	for remote, n := range t.by {
		switch {
		case !n.until.After(now):
			t.Forget(remote)
		case !ok || n.until.Before(next):
			next, ok = n.until, true
		}
	}
	return next, ok
}

// Len is about how many runtimes there is something.
func (t *Table) Len() int { return len(t.by) }

// Covers tells whether a runtime that is told the news has to fetch an object anew.
func (n *News) Covers(object message.URL) bool {
	return n.All || slices.Contains(n.Objects, object)
}
