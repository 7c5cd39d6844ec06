package syncher

import (
	"time"

	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// queue adds a change for Next.
func (o lockedObserver) queue(c Change) {
	n := len(o.changes)
	switch {
	case n > 0 && o.changes[0].Resync && !c.lasts(): // it covers what follows it
	case n > 1 && o.changes[0].Resync && !c.Deleted: // of what the reporter does, the newest stands
		o.changes[1] = c
	case (n >= maxChanges || o.bytes+len(c.Value) > maxChangeBytes) && !c.Deleted:
		o.changes, o.bytes = []Change{{Resync: true}}, 0
		if c.lasts() {
			o.changes = append(o.changes, c)
		}
	default:
		o.changes = append(o.changes, c)
		o.bytes += len(c.Value)
	}
	o.signal()
}

// lasts tells whether a change is not in the data, so that a Resync does not stand for it.
func (c *Change) lasts() bool { return c.Deleted || c.Operation == OpAway || c.Operation == OpBack }

// replace makes the object what the sync manager says it is.
func (o lockedObserver) replace(meta object.Metadata, doc object.Document) {
	var before []Change // what an application has not seen yet of what the reporter does
	for _, c := range o.changes {
		if c.Operation == OpAway || c.Operation == OpBack {
			before = []Change{c}
		}
	}
	away := meta.Away
	meta.Away = o.meta.Away
	o.keep(doc, meta)
	o.changes, o.bytes = nil, 0
	o.queue(Change{Resync: true})
	o.changes = append(o.changes, before...)
	o.setAway(away)
}

// keep makes the object what it is now.
func (o lockedObserver) keep(doc object.Document, meta object.Metadata) {
	o.doc, o.meta = doc, meta
	o.packer.Changed(o.url, o.pack)
}

// pack makes the object smaller in memory, some time after it has changed.
func (o *Observer) pack() {
	l := o.lock()
	defer l.unlock()
	o.doc = o.packer.Packed(o.doc)
}

// apply takes an update.
func (o lockedObserver) apply(u *object.Update) {
	switch {
	case o.ended:
		return
	case o.joining:
		o.early = append(o.early, *u)
		o.earlyBytes += u.Size()
		for len(o.early) > maxChanges || o.earlyBytes > maxChangeBytes { // the oldest are the likeliest to be in the answer
			o.earlyBytes -= o.early[0].Size()
			o.early = o.early[1:]
		}
		return
	case u.Attribute == "":
		o.takeWhole(u)
		return
	}
	version := o.meta.Version + 1
	if u.Version != nil {
		version = *u.Version
	}
	if version <= o.meta.Version {
		return
	}
	doc, err := o.doc.Apply(u.Change())
	if err != nil || version > o.meta.Version+1 {
		o.s.log.Debug("fetching an object anew", "object", o.url, "version", o.meta.Version, "update", version, "error", err)
		o.refetch()
		return
	}
	meta := o.meta
	meta.Version = version
	if u.LastModified != "" {
		meta.LastModified = u.LastModified
	}
	o.keep(doc, meta)
	for _, c := range u.Change().Items() {
		o.queue(Change{Attribute: c.Attribute, Operation: Operation(c.Operation), Value: c.Value, Version: version})
	}
	if o.check.Differs(u, doc) {
		o.s.log.Warn("a copy of an object is not what its reporter has", "object", o.url, "version", version)
		o.differs()
	}
}

// takeWhole takes an update that carries the whole object.
func (o lockedObserver) takeWhole(u *object.Update) {
	meta, doc, err := object.ParseWhole(u.Value)
	if err != nil {
		o.s.log.Warn("cannot read an object", "object", o.url, "error", err)
		o.differs()
		return
	}
	o.check.Whole(meta, doc)
	o.replace(meta, doc)
}

// differs has an object fetched anew whose copy is not what the reporter has: at once, or later where that was done often.
func (o lockedObserver) differs() {
	if o.joining || o.doubted {
		return
	}
	wait := o.check.Ask(time.Now())
	if wait == 0 {
		o.refetch()
		return
	}
	o.doubted = o.s.spawn(func() {
		_ = backoff.Sleep(o.s.ctx, wait)
		l := o.Observer.lock()
		defer l.unlock()
		o.doubted = false
		l.refetch()
	})
}

// lost ends the observation: the object is gone.
func (o *Observer) lost(end End, reason string) {
	l := o.lock()
	if !o.ended {
		l.queue(Change{Deleted: true, Version: o.meta.Version, End: end, Reason: reason})
	}
	l.unlock()
	o.leave()
}

func (o *Observer) isEnded() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ended
}

// observer finds the observer of an object.
func (s *Syncher) observer(object message.URL) *Observer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.observers[object.Canonical()]
}

// updated takes an update from the sync manager.
func (s *Syncher) updated(m message.Message) {
	var u object.Update
	if err := m.Decode(&u); err != nil {
		s.log.Warn("cannot read an update", "error", err)
		return
	}
	if o := s.observer(u.Resource); o != nil {
		l := o.lock()
		defer l.unlock()
		l.apply(&u)
	}
}

// deleted takes the end of an object from the sync manager.
func (s *Syncher) deleted(m message.Message) {
	var body struct {
		Resource message.URL `json:"resource"`
		End      End         `json:"end"`
		Reason   string      `json:"reason"`
	}
	if err := m.Decode(&body); err != nil {
		s.log.Warn("cannot read a delete", "error", err)
		return
	}
	if o := s.observer(body.Resource); o != nil {
		o.lost(body.End, body.Reason)
	}
}
