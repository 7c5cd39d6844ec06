// Package observing is what a sync manager knows of an object of another runtime that components of its own observe: its
// copy, whether updates of it were missed, and what is to be done about that.
//
// An [Object] takes no lock, starts nothing and asks nobody: its owner guards it, tells it what arrived, and asks it whether
// the object is to be fetched anew ([Object.StartsRenewal]).
package observing

import (
	"errors"
	"fmt"
	"time"

	"github.com/protofly/protofly/core/syncmanager/internal/limits"
	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/core/syncmanager/internal/replica"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/internal/object/life"
	"github.com/protofly/protofly/sdk/message"
)

// What is wrong with the copy. The object wants to be fetched anew.
var (
	ErrMissed  = errors.New("updates were missed")                   // the copy cannot follow an update: others before it were missed
	ErrDiffers = errors.New("the copy is not what its reporter has") // the copy has followed an update, and has another hash than it says
)

// Object is an object of another runtime that components of this one observe. It is made by [New].
type Object struct {
	*replica.Replica
	subscribing int  // subscribes that are under way
	fetching    bool // the value is being fetched: updates wait in early
	early       []object.Update
	bytes       int // of early
	check       object.Check
	renewal     renewal
	life        life.Observed
}

// New is the object at url, whose value is being fetched.
func New(url message.URL, messages protocol.Messages, usage *limits.Usage) *Object {
	return &Object{Replica: replica.New(url, messages, usage), fetching: true}
}

// Subscribing is told that a subscribe of an observer is under way.
func (o *Object) Subscribing() { o.subscribing++ }

// Subscribed is told that a subscribe has ended, with or without success.
func (o *Object) Subscribed() { o.subscribing-- }

// Idle tells whether nobody observes the object, or is about to.
func (o *Object) Idle() bool { return o.subscribing == 0 && !o.Observed() }

// Known tells whether the copy is the object as far as is known: its value is not being fetched.
func (o *Object) Known() bool { return !o.fetching }

// Fetched is told of the value in the answer to a subscribe. Where the object is being fetched the value becomes the copy,
// observers are told where it is another one, and the updates that came meanwhile follow. Otherwise the answer to another
// subscribe came first, and the updates since are in the copy. It refuses where all objects together are too large.
func (o *Object) Fetched(meta object.Metadata, doc object.Document) error {
	if !o.fetching {
		return nil
	}
	now, was := o.Metadata(), o.Document()
	o.check.Whole(meta, doc)
	away := meta.Away
	meta.Away = now.Away // until the observers are told
	if err := o.Set(meta, doc); err != nil {
		return err
	}
	if meta.Version != now.Version || meta.Created != now.Created || !doc.Equal(was) {
		o.TellAll()
	}
	o.told(away)
	o.takeEarly()
	return nil
}

// takeEarly ends the fetching: the updates that waited for the value follow the copy.
func (o *Object) takeEarly() {
	early := o.early
	o.fetching, o.early, o.bytes = false, nil, 0
	for i := range early {
		_ = o.Take(early[i]) // where one was missed the object is fetched once more
	}
}

// Take is told of an update, applies it, and has it told to the observers. One that is old changes nothing; where some were
// missed the error is [ErrMissed], where the copy has become another one than the update says [ErrDiffers]. While the value is being
// fetched updates wait.
func (o *Object) Take(u object.Update) error {
	if o.fetching {
		o.early = append(o.early, u)
		o.bytes += u.Size()
		for len(o.early) > replica.MaxQueued || o.bytes > replica.MaxQueuedBytes { // the oldest are the likeliest to be in the answer
			o.bytes -= o.early[0].Size()
			o.early = o.early[1:]
		}
		return nil
	}
	if u.Attribute == "" {
		return o.takeWhole(u)
	}
	meta := o.Metadata()
	version := meta.Version + 1
	if u.Version != nil {
		version = *u.Version
	}
	if version <= meta.Version {
		return nil
	}
	err := o.follow(meta, version, u)
	if err != nil {
		o.Renew(false)
		return fmt.Errorf("%w: version %d is known, the update is for %d: %w", ErrMissed, meta.Version, version, err)
	}
	u.Version = &version
	differs := o.check.Differs(&u, o.Document())
	if differs {
		u.Hash = "" // to the observers' copies this one is right, until it is mended
	}
	o.Tell(u)
	if differs {
		o.renewal.doubt()
		return fmt.Errorf("%w: version %d", ErrDiffers, version)
	}
	return nil
}

var errGap = errors.New("it is not the next one")

// follow makes the copy the next version.
func (o *Object) follow(meta object.Metadata, version uint64, u object.Update) error {
	if version != meta.Version+1 {
		return errGap
	}
	doc, err := o.Document().Apply(u.Change())
	if err != nil {
		return err
	}
	if meta.Version = version; u.LastModified != "" {
		meta.LastModified = u.LastModified
	}
	return o.Set(meta, doc)
}

// takeWhole applies an update that carries the complete value.
func (o *Object) takeWhole(u object.Update) error {
	meta, doc, err := object.ParseWhole(u.Value)
	if err != nil {
		o.renewal.doubt()
		return err
	}
	now := o.Metadata()
	if meta.Away != now.Away { // in place of a notice that waited too long
		o.told(meta.Away)
	}
	if meta.Version <= now.Version && (meta.Created == "" || meta.Created == now.Created) {
		return nil
	}
	o.check.Whole(meta, doc)
	meta.URL, meta.Childrens = o.URL(), protocol.Names(meta.Childrens)
	meta.Grace, meta.Keep, meta.Away = now.Grace, now.Keep, o.Metadata().Away
	meta.Reporter, meta.Runtime = now.Reporter, now.Runtime // as in the answer to the subscribe
	if err := o.Set(meta, doc); err != nil {
		return err
	}
	o.TellAll()
	return nil
}

// Ending is told that the reporter's side has deleted the object, before [Object.Forget]: updates that wait for a value that is
// being fetched anew are applied as far as they follow the one that is known. It is the last moment for them.
func (o *Object) Ending() {
	if o.fetching && o.Observed() { // without observers no value is known
		o.takeEarly()
	}
}

// Forget ends the object here: its observers are told that it is gone, and it has none any more. It is called once.
func (o *Object) Forget(end protocol.End) {
	o.End(end)
	o.early, o.bytes = nil, 0
}

// Renew has the object fetched anew: for one of its observers, which is enough for the value, or for everyone, where the
// reporter's side may have forgotten them.
func (o *Object) Renew(everyone bool) {
	o.fetching = true
	if o.Observed() { // else the subscribe that is under way brings the value
		o.renewal.want(everyone)
	}
}

// Wait is how long an object whose copy differs has to wait until it is fetched anew, since that was done often: [Object.Waited] is
// to be called then. It is 0 where nothing has to wait for a call of Waited.
func (o *Object) Wait(now time.Time) time.Duration { return o.renewal.wait(now, &o.check) }

// Waited is told that the time that Wait has said is over.
func (o *Object) Waited() { o.renewal.waited() }

// StartsRenewal tells whether tries to fetch the object anew are to be begun now. Whoever is told so goes on with
// [Object.Try] and [Object.Tried], in turns. Wait is called before it.
func (o *Object) StartsRenewal() bool { return o.renewal.starts() }

// Try begins a try: the object is to be subscribed to for the observers, for each of them where everyone is set, else until
// one has been answered with the value. Updates wait for that from now on.
func (o *Object) Try() (observers []message.URL, everyone bool) {
	o.fetching = true
	return o.Observers(), o.renewal.begin()
}

// Tried ends a try, with its error. The renewal is over, or goes on after the pause. Where the object is gone, its owner is
// to forget it.
func (o *Object) Tried(now time.Time, err error) (over, gone bool, pause time.Duration) {
	if err != nil && protocol.CodeOf(err) == message.CodeNotFound {
		o.renewal.refused++
		o.life.Missed(now)
		o.tellAway()
	}
	return o.renewal.end(err, o.Observed(), o.life.Unknown(now))
}

// told takes what the reporter's runtime says of the object's life.
func (o *Object) told(away string) {
	meta := o.Metadata()
	grace, known, err := object.ParseGrace(meta.Grace)
	o.life.Told(grace, known && err == nil, meta.Keep, object.ParseTime(away))
	o.tellAway()
}

func (o *Object) tellAway() { o.SetAway(object.Time(o.life.Away())) }
