// Package reporting is what a sync manager knows of an object whose reporter runs in its runtime: the object, its version,
// and who observes it, here and elsewhere.
//
// An [Object] takes no lock, starts nothing and sends nothing: its owner guards it and tells it what happened. Whether an
// observer is allowed is the reporter's to say: its owner asks before it tells of a new observer.
package reporting

import (
	"fmt"

	"github.com/protofly/protofly/core/syncmanager/internal/limits"
	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/core/syncmanager/internal/replica"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/internal/object/life"
	"github.com/protofly/protofly/sdk/message"
)

// Object is an object whose reporter runs here. It is made by [New].
type Object struct {
	*replica.Replica
	usage    *limits.Usage
	reporter message.URL
	children []string                                 // the names that child objects may have
	remotes  map[message.URL]map[message.URL]struct{} // observers elsewhere, by their runtime
	changes  *replica.Queue                           // to U/changes
	life     life.Reported
	former   map[message.URL]struct{} // observers whom the reporter has allowed, and who may come back while it is away
}

// New is the object at url, of which only who reports it and the names of its children are known.
func New(url, reporter message.URL, children []string, messages protocol.Messages, usage *limits.Usage) *Object {
	o := &Object{
		Replica: replica.New(url, messages, usage), usage: usage, reporter: reporter.Canonical(), children: protocol.Names(children),
		remotes: make(map[message.URL]map[message.URL]struct{}), former: make(map[message.URL]struct{}),
	}
	o.changes = o.NewQueue(object.Changes(url), reporter)
	return o
}

// Begin gives the object its first value.
func (o *Object) Begin(meta object.Metadata, doc object.Document) error {
	if err := o.Set(meta, doc); err != nil {
		return err
	}
	o.usage.AddReported(o.reporter, 1)
	return nil
}

// Reporter is the component that reports the object.
func (o *Object) Reporter() message.URL { return o.reporter }

// ReportedBy tells whether who reports the object.
func (o *Object) ReportedBy(who message.URL) bool { return o.reporter == who.Canonical() }

// Children are the names that child objects may have.
func (o *Object) Children() []string { return o.children }

// Change is what a reporter says of its object: an update that has been read.
type Change struct {
	update object.Update
	meta   object.Metadata // of the whole value
	doc    object.Document
}

// Read reads a reporter's update. Reading a large one takes time: no lock is to be held for it.
func Read(u object.Update) (c Change, err error) {
	c.update = u
	if err = u.Check(); err == nil && u.Attribute == "" { // the whole value, after an answer was lost
		c.meta, c.doc, err = object.ParseWhole(u.Value)
	}
	return c, err
}

// Change makes the object what its reporter says, and has every observer told (specification, "Update"). It refuses a change
// of another version than the one that is known, and one that makes another object here than it has made there; then nothing
// changes, and the reporter sends the whole.
func (o *Object) Change(c Change) error {
	now, u := o.Metadata(), &c.update
	if u.Attribute == "" {
		if c.meta.Version <= now.Version {
			return protocol.Refuse(message.CodeConflict, "the version is old")
		}
		return o.become(c.meta, c.doc)
	}
	if u.Version == nil || *u.Version != now.Version+1 {
		return protocol.Refuse(message.CodeConflict, "the update is not for the version that is known here")
	}
	doc, err := o.Document().Apply(u.Change())
	if err != nil {
		return err
	}
	if doc.Differs(u.Hash) {
		return protocol.Refuse(message.CodeConflict, "the object is another one here")
	}
	now.Version, now.LastModified = *u.Version, u.LastModified
	if err := o.Set(now, doc); err != nil {
		return err
	}
	u.Hash = doc.Hash()
	o.Tell(*u)
	if len(o.remotes) > 0 {
		o.changes.Update(*u)
	}
	return nil
}

// Resume is told of the value that a reporter has, which says that it goes on with the object. A value that is not newer
// changes nothing.
func (o *Object) Resume(meta object.Metadata, doc object.Document) error {
	if meta.Version <= o.Metadata().Version {
		return nil
	}
	return o.become(meta, doc)
}

// become takes from meta what a reporter may change, and gives the whole value to every observer.
func (o *Object) become(meta object.Metadata, doc object.Document) error {
	next := o.Metadata()
	next.Version, next.LastModified, next.Name, next.Resources = meta.Version, meta.LastModified, meta.Name, meta.Resources
	if err := o.Set(next, doc); err != nil {
		return err
	}
	o.TellAll()
	if len(o.remotes) > 0 {
		o.changes.Whole()
	}
	return nil
}

// Enter enters an observer of a remote runtime, which may be known. It refuses where there are too many; then nothing has
// changed.
func (o *Object) Enter(remote, observer message.URL) error {
	observer = observer.Canonical()
	observers, known := o.remotes[remote]
	if _, again := observers[observer]; again {
		return nil
	}
	if !known && len(o.remotes) >= o.usage.Limits().Remotes {
		return protocol.Refuse(message.CodeTooMany, "too many runtimes observe "+string(o.URL()))
	}
	if len(observers) >= o.usage.Limits().Observers {
		return fmt.Errorf("%s: %w", o.URL(), protocol.Refuse(message.CodeTooMany, "too many observers of one runtime"))
	}
	if err := o.usage.AddRemote(remote, observer); err != nil {
		return fmt.Errorf("%s: %w", o.URL(), err)
	}
	if !known {
		observers = make(map[message.URL]struct{})
		o.remotes[remote] = observers
	}
	observers[observer] = struct{}{}
	delete(o.former, observer)
	return nil
}

// Exit forgets an observer of a remote runtime, and tells whether it was one.
func (o *Object) Exit(remote, observer message.URL) bool {
	observer = observer.Canonical()
	observers := o.remotes[remote]
	if _, was := observers[observer]; !was {
		return false
	}
	delete(observers, observer)
	o.usage.DropRemote(remote, observer)
	if len(observers) == 0 {
		delete(o.remotes, remote)
	}
	return true
}

// ObservedFrom tells whether a remote runtime has observers.
func (o *Object) ObservedFrom(remote message.URL) bool { return len(o.remotes[remote]) > 0 }

// ObservedBy tells whether a component, here or elsewhere, observes the object.
func (o *Object) ObservedBy(who message.URL) bool {
	if who = who.Canonical(); o.Observes(who) {
		return true
	}
	for _, observers := range o.remotes {
		if _, ok := observers[who]; ok {
			return true
		}
	}
	return false
}

// Withdraw ends the object: every observer is told, and it has none any more.
func (o *Object) Withdraw(end protocol.End) {
	o.usage.AddReported(o.reporter, -1)
	o.End(end)
	if len(o.remotes) > 0 {
		o.changes.Add(message.Message{
			Type: message.Delete, From: object.Subscription(o.URL()), To: object.Changes(o.URL()), Source: o.Metadata().Reporter,
			Body: message.Encode(protocol.Ended{Resource: o.URL(), End: end}),
		})
	}
	for remote, observers := range o.remotes {
		for observer := range observers {
			o.Exit(remote, observer)
		}
	}
}

// Counts is how many remote runtimes observe the object, and the bytes of their observers' addresses.
func (o *Object) Counts() (remotes, bytes int) {
	for _, observers := range o.remotes {
		for observer := range observers {
			bytes += len(observer)
		}
	}
	return len(o.remotes), bytes
}

// Published has f called when everything that was to be published so far is; see [replica.Queue.Emptied].
func (o *Object) Published(f func()) { o.changes.Emptied(f) }
