package reporting

import (
	"time"

	"github.com/protofly/protofly/core/syncmanager/internal/limits"
	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/internal/object/life"
	"github.com/protofly/protofly/sdk/message"
)

// maxFormer is how many observers of an object are remembered whose runtime has restarted: they may come back while the reporter is away.
const maxFormer = 4096

// Life says how the object lives without its reporter.
func (o *Object) Life(l life.Reported) { o.life = l }

// Grace is how long it does.
func (o *Object) Grace() time.Duration { return o.life.Grace() }

// Survives tells whether the object outlives the end of its reporter; see [life.Reported.Survives].
func (o *Object) Survives(closed bool) bool { return o.life.Survives(closed) }

// ReporterGone is told that the reporter has gone; every observer is told.
func (o *Object) ReporterGone(now time.Time) {
	o.life.Leave(now)
	since, _ := o.life.Away()
	o.tellLife(object.Time(since))
}

// ReporterBack is told that the reporter is back; every observer is told.
func (o *Object) ReporterBack() {
	o.life.Back()
	o.tellLife("")
}

// Away tells whether the reporter is away, and since when.
func (o *Object) Away() (since time.Time, away bool) { return o.life.Away() }

// Due is when the object ends unless its reporter comes back; ok is false where it does not.
func (o *Object) Due() (at time.Time, ok bool) { return o.life.Due() }

func (o *Object) tellLife(away string) {
	if o.SetAway(away) && len(o.remotes) > 0 {
		o.changes.Notice(message.Message{
			Type: message.Forward, From: o.URL(), To: object.Changes(o.URL()), Source: o.Metadata().Reporter, P2P: message.No,
			Body: message.Encode(protocol.LifeOf("", away)),
		})
	}
}

// Knows tells whether the reporter has allowed an observer, who observes the object or did so until its runtime, or this one, ended.
func (o *Object) Knows(observer message.URL) bool {
	_, former := o.former[observer.Canonical()]
	return former || o.ObservedBy(observer)
}

// Former are the observers who did so until their runtime, or this one, ended.
func (o *Object) Former(observers []message.URL) {
	for _, u := range observers {
		o.allowAgain(u.Canonical())
	}
}

func (o *Object) allowAgain(observer message.URL) {
	if len(o.former) < maxFormer && o.life.Grace() > 0 {
		o.former[observer] = struct{}{}
	}
}

// Everybody is all observers, here and elsewhere; each of them knows its runtime, but for those of this one.
func (o *Object) Everybody() (list []Observer) {
	for _, u := range o.Observers() {
		list = append(list, Observer{URL: u})
	}
	for remote, observers := range o.remotes {
		for u := range observers {
			list = append(list, Observer{URL: u, Runtime: remote})
		}
	}
	return list
}

// Observer is one of an object.
type Observer struct {
	URL     message.URL `json:"url"`
	Runtime message.URL `json:"runtime,omitempty"` // "": that of the object
}

// Kick ends an observer's observation, and tells whether there was one, and of which runtime; "" is this one. The observer may not
// come back while the reporter is away.
func (o *Object) Kick(observer message.URL, end protocol.End) (remote message.URL, was bool) {
	observer = observer.Canonical()
	_, was = o.former[observer]
	delete(o.former, observer)
	if o.Observes(observer) {
		o.Lose(observer, end)
		return "", true
	}
	for remote := range o.remotes {
		if o.Exit(remote, observer) {
			return remote, true
		}
	}
	return "", was
}

// Adopt takes what its reporter, which is back, wants of the object's life from now on.
func (o *Object) Adopt(l life.Reported, grace string, keep bool) {
	meta := o.Metadata()
	meta.Grace, meta.Keep = grace, keep
	if o.Set(meta, o.Document()) == nil { // it is no larger
		since, away := o.life.Away()
		if o.life = l; away {
			o.life.Leave(since)
		}
	}
}

// After is the object as it would be after a change, which is refused as [Object.Change] refuses it. Nothing changes.
func (o *Object) After(c Change) (object.Metadata, object.Document, error) {
	return o.trial(func(trial *Object) error { return trial.Change(c) })
}

// Resumed is the object as it would be after [Object.Resume].
func (o *Object) Resumed(meta object.Metadata, doc object.Document) (object.Metadata, object.Document, error) {
	return o.trial(func(trial *Object) error { return trial.Resume(meta, doc) })
}

func (o *Object) trial(f func(*Object) error) (object.Metadata, object.Document, error) {
	trial := New(o.URL(), o.reporter, nil, protocol.Messages{}, limits.New(limits.Limits{}))
	err := trial.Set(o.Metadata(), o.Document())
	if err == nil {
		err = f(trial)
	}
	return trial.Metadata(), trial.Document(), err
}

// RemoteGone forgets all observers of a remote runtime, which may come back, and returns who they were.
func (o *Object) RemoteGone(remote message.URL) (left []message.URL) {
	for observer := range o.remotes[remote] {
		o.Exit(remote, observer)
		o.allowAgain(observer)
		left = append(left, observer)
	}
	return left
}
