package syncmanager

import (
	"context"
	"fmt"
	"time"

	"github.com/protofly/protofly/core/syncmanager/internal/kept"
	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/internal/object/life"
	"github.com/protofly/protofly/sdk/message"
)

const (
	maxWrites = 256         // changes of one object that wait for the disk
	noteTime  = time.Second // after which it is written who observes an object
)

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
				err = m.disk.folder.Remove(r.URL())
			} else {
				err = m.disk.folder.Write(record)
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
	m.disk = disk{folder, records}
}

// lifeOf is how an object is to live that a component wants to report, and its grace time as metadata writes it.
func (m *Manager) lifeOf(reporter message.URL, want object.Metadata) (life.Reported, string, error) {
	grace, asked, err := object.ParseGrace(want.Grace)
	switch {
	case err != nil:
		return life.Reported{}, "", err
	case want.Keep && m.disk.folder == nil:
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
