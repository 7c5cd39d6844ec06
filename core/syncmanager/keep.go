package syncmanager

import (
	"context"
	"fmt"
	"time"

	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/core/syncmanager/internal/kept"
	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/core/syncmanager/internal/reporting"
	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/internal/object/life"
	"github.com/protofly/protofly/sdk/message"
)

const (
	maxWrites = 256         // changes of one object that wait for the disk
	noteTime  = time.Second // after which it is written who observes an object
)

// write is something that is to happen to a kept object, when the disk has it. Its functions are called with the lock held.
type write struct {
	next  func() (replicaOf, error) // the object as it will be; nil: it is removed
	apply func() error              // what happens then; nil: nothing
	then  func(error)               // is told whether it has; nil: nobody is
}

// replicaOf is an object to be written.
type replicaOf struct {
	meta object.Metadata
	doc  object.Document
}

// alter has something happen to an object: at once, or, where the object is kept, when the disk has it.
func (m locked) alter(r *reported, w write) {
	if !r.keep {
		w.done(w.applied(nil))
		return
	}
	if len(r.writes) >= maxWrites && w.next != nil {
		w.done(protocol.Refuse(message.CodeTooMany, "too many changes of "+string(r.URL())+" wait for the disk"))
		return
	}
	r.writes = append(r.writes, w)
	if len(r.writes) == 1 {
		m.spawn(func(context.Context) { m.writeAll(r) })
	}
}

func (w *write) applied(err error) error {
	if err == nil && w.apply != nil {
		err = w.apply()
	}
	return err
}

func (w *write) done(err error) {
	if w.then != nil {
		w.then(err)
	}
}

// writeAll does what waits for the disk, one after the other.
func (m *Manager) writeAll(r *reported) {
	for {
		l := m.lock()
		w := r.writes[0]
		var record kept.Record
		err := l.known(r)
		if err == nil && w.next != nil {
			record, err = l.record(r, w.next)
		}
		l.unlock()
		if err == nil {
			if w.next == nil {
				err = m.folder.Remove(r.URL())
			} else {
				err = m.folder.Write(record)
			}
			if err != nil {
				m.log.Error("the data folder does not take a data object", "object", r.URL(), "error", err)
				err = protocol.Refuse(message.CodeError, "the runtime cannot keep it: "+err.Error())
			}
		}
		l = m.lock()
		if err == nil {
			err = l.known(r)
		}
		w.done(w.applied(err))
		r.writes = r.writes[1:]
		last := len(r.writes) == 0
		l.unlock()
		if last {
			return
		}
	}
}

// known refuses where the object is not there any more.
func (m locked) known(r *reported) error {
	if !m.serves(r) {
		return protocol.NotYours(r.URL(), false)
	}
	return nil
}

// record is what is written of an object.
func (m locked) record(r *reported, next func() (replicaOf, error)) (kept.Record, error) {
	now, err := next()
	if err != nil {
		return kept.Record{}, err
	}
	meta := now.meta
	meta.Away, meta.Data = "", now.doc.JSON()
	return kept.Record{Object: meta, Private: r.private, Observers: r.Everybody()}, nil
}

// note has it written, a while later, who observes a kept object.
func (m locked) note(r *reported) {
	if !r.keep || r.noting {
		return
	}
	r.noting = true
	m.spawn(func(ctx context.Context) {
		backoff.Sleep(ctx, noteTime)
		l := m.lock()
		defer l.unlock()
		r.noting = false
		l.alter(r, write{next: func() (replicaOf, error) { return replicaOf{r.Metadata(), r.Document()}, nil }})
	})
}

// Restore has the objects that are kept in the folder be there again, without their reporters. It is called once, when messages can
// go to other runtimes and no application is there yet.
func (m *Manager) Restore() {
	records := m.kept
	m.kept = nil
	for _, record := range records {
		if err := m.revive(record); err != nil {
			m.log.Error("a kept data object is not there", "object", record.Object.URL, "error", err)
		}
	}
}

func (m *Manager) revive(record kept.Record) error {
	meta := record.Object
	doc, err := object.Parse(meta.Data)
	if err != nil {
		return err
	}
	grace, _, err := object.ParseGrace(meta.Grace)
	if err != nil {
		return err
	}
	r := &reported{forwards: make(map[message.URL]func()), keep: true, private: record.Private}
	r.Object = reporting.New(meta.URL, meta.Reporter, meta.Childrens, m.messages, m.usage)
	r.Life(life.NewReported(grace, true))
	var observers []message.URL
	remotes := make(map[message.URL]struct{})
	for _, o := range record.Observers {
		observers = append(observers, o.URL)
		if o.Runtime != "" {
			remotes[o.Runtime] = struct{}{}
		}
	}
	r.Former(observers)
	meta.Data = nil
	meta.Runtime = m.o.Runtime
	if _, err := m.enter(r, meta, doc); err != nil {
		return err
	}
	l := m.lock()
	defer l.unlock()
	l.left(r, time.Now())
	l.spawn(func(ctx context.Context) {
		m.registerAgain(ctx, r, registry.Object{
			URL: meta.URL, Name: meta.Name, Schema: meta.Schema, Reporter: meta.Reporter, Resources: meta.Resources, Private: record.Private, Kept: true,
		})
	})
	l.greet(remotes)
	return nil
}

// registerAgain registers an object that was kept, until that has succeeded or the object is gone.
func (m *Manager) registerAgain(ctx context.Context, r *reported, o registry.Object) {
	pauses := backoff.Backoff{Min: time.Second, Max: time.Minute}
	for {
		_, err := m.o.Objects.RegisterObject(ctx, o)
		l := m.lock()
		over := !l.serves(r)
		l.unlock()
		if over && err == nil {
			_ = m.o.Objects.UnregisterObject(ctx, o.URL)
		}
		if over || err == nil {
			return
		}
		if ctx.Err() == nil {
			m.log.Warn("a kept data object is not registered yet", "object", o.URL, "error", err)
		}
		if !pauses.Wait(ctx) {
			return
		}
		o.Wished = true // the node may have lost what it had given
	}
}

// greet has the runtimes that have observed an object hear of this one, so that their observers come back at once.
func (m locked) greet(remotes map[message.URL]struct{}) {
	if len(remotes) == 0 {
		return
	}
	m.spawn(func(ctx context.Context) {
		for remote := range remotes {
			m.askOnce(ctx, remote)
		}
	})
}

// openFolder reads the objects that are kept in the folder. Where it cannot be used, that is logged, and none is kept.
func (m *Manager) openFolder() {
	if m.o.Folder == "" {
		return
	}
	folder, records, wrong, err := kept.Open(m.o.Folder)
	for _, err := range append(wrong, err) {
		if err != nil {
			m.log.Error("data objects that were kept", "error", err)
		}
	}
	m.folder, m.kept = folder, records
}

// lifeOf is how an object is to live that a component wants to report, and its grace time as metadata writes it.
func (m *Manager) lifeOf(reporter message.URL, want object.Metadata) (life.Reported, string, error) {
	grace, asked, err := object.ParseGrace(want.Grace)
	switch {
	case err != nil:
		return life.Reported{}, "", err
	case want.Keep && m.folder == nil:
		return life.Reported{}, "", protocol.Refuse(message.CodeBadRequest, fmt.Sprintf("%s keeps no data objects", m.self))
	case !asked && want.Keep:
		grace, asked = object.Forever, true
	case !asked && reporter.Within(m.o.Runtime): // a stub, whose objects are of no use without it
		return life.Reported{}, "", nil
	case !asked:
		grace = life.DefaultGrace
	}
	return life.NewReported(grace, asked), object.FormatGrace(grace), nil
}
