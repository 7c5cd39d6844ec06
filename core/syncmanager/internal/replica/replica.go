// Package replica is a data object as this runtime knows it: its metadata, its data, the components of this runtime that
// observe it, and what waits to be sent to them.
//
// A [Replica] takes no lock, starts nothing and sends nothing: its owner guards it, tells it what happened, and asks it
// which queues have something to be sent ([Replica.Ready]).
package replica

import (
	"github.com/protofly/protofly/core/syncmanager/internal/limits"
	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// Replica is an object as this runtime knows it. It is used by pointer, made by [New].
type Replica struct {
	current
	messages  protocol.Messages
	usage     *limits.Usage
	observers map[message.URL]*Queue // components of this runtime
	changed   bool                   // there is another document since the last Changed
}

// New is the replica of the object at url, of which nothing is known. usage is shared by all objects of a sync manager.
func New(url message.URL, messages protocol.Messages, usage *limits.Usage) *Replica {
	return &Replica{current: current{url: url}, messages: messages, usage: usage, observers: make(map[message.URL]*Queue)}
}

// NewQueue is a queue to an address outside this runtime, from the object itself. source is its reporter.
func (r *Replica) NewQueue(to, source message.URL) *Queue {
	return &Queue{of: &r.current, from: r.url, to: to, source: source}
}

// URL is the object's address.
func (r *Replica) URL() message.URL { return r.url }

// Metadata describes the object, without its data.
func (r *Replica) Metadata() object.Metadata { return r.meta }

// Document is the object's data.
func (r *Replica) Document() object.Document { return r.doc }

// Set makes the object what it is now. It refuses where all objects together are too large; then nothing has changed.
func (r *Replica) Set(meta object.Metadata, doc object.Document) error {
	if err := r.usage.Grow(doc.Size() - r.doc.Size()); err != nil {
		return err
	}
	meta.Data, meta.Hash = nil, ""
	r.meta, r.doc, r.changed = meta, doc, true
	return nil
}

// Changed tells whether the document is another one than at the last call.
func (r *Replica) Changed() bool {
	was := r.changed
	r.changed = false
	return was
}

// Pack keeps the document as pack returns it: the same document in less memory.
func (r *Replica) Pack(pack func(object.Document) object.Document) { r.doc = pack(r.doc) }

// Ready returns the queues that have something to be sent and that nobody sends from. The caller has each sent, until
// [Queue.Next] is false.
func (r *Replica) Ready() []*Queue {
	ready := r.ready
	r.ready = nil
	return ready
}

// Observe adds an observer of this runtime, which may be one already. It refuses where there are too many.
func (r *Replica) Observe(observer message.URL) error {
	if r.Observes(observer) {
		return nil
	}
	if len(r.observers) >= r.usage.Limits().Observers || r.usage.Observer(observer) != nil {
		return protocol.Refuse(message.CodeTooMany, "too many observers of one object, or objects of one observer")
	}
	r.usage.AddObserved(observer, 1)
	r.observers[observer.Canonical()] = &Queue{of: &r.current, from: r.messages.Self, to: observer, here: true}
	return nil
}

// Leave removes an observer of this runtime and tells whether it was one.
func (r *Replica) Leave(observer message.URL) bool {
	if !r.Observes(observer) {
		return false
	}
	delete(r.observers, observer.Canonical())
	r.usage.AddObserved(observer, -1)
	return true
}

// Lose takes the object from an observer that may not observe it any more: to the observer it is gone.
func (r *Replica) Lose(observer message.URL, end protocol.End) {
	if q := r.observers[observer.Canonical()]; q != nil {
		q.last(r.messages.Gone(r.url, q.to, end))
		r.Leave(observer)
	}
}

// SetAway says since when the object's reporter is away, "" where it is there, and has the observers told where that is something
// else than before.
func (r *Replica) SetAway(away string) (changed bool) {
	if away == r.meta.Away {
		return false
	}
	r.meta.Away = away
	for _, q := range r.observers {
		q.update(r.messages.Life(r.url, q.to, away))
	}
	return true
}

// Observes tells whether a component of this runtime is an observer.
func (r *Replica) Observes(who message.URL) bool { return r.observers[who.Canonical()] != nil }

// Observers are the components of this runtime that observe the object.
func (r *Replica) Observers() []message.URL {
	list := make([]message.URL, 0, len(r.observers))
	for _, q := range r.observers {
		list = append(list, q.to)
	}
	return list
}

// Observed tells whether a component of this runtime observes the object.
func (r *Replica) Observed() bool { return len(r.observers) > 0 }

// Tell gives an update to the observers, who share its body.
func (r *Replica) Tell(u object.Update) {
	var msg message.Message
	for _, q := range r.observers {
		if msg.Body == nil {
			msg = q.message(u)
		}
		msg.To = q.to
		q.update(msg)
	}
}

// TellAll gives the whole value to the observers.
func (r *Replica) TellAll() {
	for _, q := range r.observers {
		q.Whole()
	}
}

// End tells the observers that the object is gone. It has none any more, and its data is not counted. It is
// called once.
func (r *Replica) End(end protocol.End) {
	for observer, q := range r.observers {
		q.end(r.messages.Gone(r.url, q.to, end))
		r.Leave(observer)
	}
	_ = r.usage.Grow(object.Document{}.Size() - r.doc.Size()) // less is never refused
}
