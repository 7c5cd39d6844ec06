package syncmanager

import (
	"context"
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

// Restore has the objects that are kept in the folder be there again, without their reporters. It is called once, when messages can
// go to other runtimes and no application is there yet.
func (m *Manager) Restore() {
	records := m.disk.records
	m.disk.records = nil
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
			_, _ = m.askOnce(ctx, remote, protocol.Heard{})
		}
	})
}
