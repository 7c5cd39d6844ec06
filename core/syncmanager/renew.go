package syncmanager

import (
	"context"
	"time"

	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

const maxRenewals = 64 // that ask at the same time

// Refresh has every object of a remote runtime subscribed to again, of all remote runtimes where it is "": after that
// runtime, or the way to it, has been away. Observers whose object has changed get the whole value.
func (m *Manager) Refresh(remote message.URL) {
	l := m.lock()
	defer l.unlock()
	for _, o := range l.observed {
		if remote == "" || o.Metadata().Runtime.Runtime() == remote.Canonical() {
			o.Renew(true)
			l.keepUp(o)
		}
	}
}

// renew subscribes to an object again, until that has succeeded, nobody wants it any more, or the object is gone.
func (m *Manager) renew(ctx context.Context, o *observed) {
	for {
		select {
		case m.renewals <- struct{}{}:
		case <-ctx.Done():
			return
		}
		err := m.try(ctx, o)
		<-m.renewals
		if !m.tried(ctx, o, err) {
			return
		}
	}
}

// try subscribes once, for one observer or for all. An observer that is forbidden it now loses the object.
func (m *Manager) try(ctx context.Context, o *observed) error {
	l := m.lock()
	follows := l.follows(o)
	observers, everyone := o.Try()
	l.unlock()
	if !follows {
		return nil
	}
	fetched := false
	var failed error
	for _, observer := range observers {
		meta, doc, err := m.fetch(ctx, o.URL(), observer)
		if err == nil && !m.stillThere(o, observer) {
			continue
		}
		if err == nil && !fetched {
			fetched = true
			err = m.renewed(o, meta, doc)
		}
		switch {
		case err == nil && !everyone:
			return nil
		case err == nil:
		case protocol.CodeOf(err) == message.CodeForbidden:
			m.lose(o, observer)
		default:
			failed = err
		}
	}
	return failed
}

// stillThere tells whether an observer that a try has subscribed for has not left meanwhile.
func (m *Manager) stillThere(o *observed, observer message.URL) bool {
	l := m.lock()
	defer l.unlock()
	return l.stays(o, keyOf(o.URL(), observer), observer)
}

// renewed takes the value of a try.
func (m *Manager) renewed(o *observed, meta object.Metadata, doc object.Document) error {
	l := m.lock()
	defer l.unlock()
	if !l.follows(o) {
		return nil
	}
	return l.fetched(o, meta, doc)
}

// lose takes an object from an observer that may not observe it any more.
func (m *Manager) lose(o *observed, observer message.URL) {
	l := m.lock()
	defer l.unlock()
	o.Lose(observer, protocol.End{Why: protocol.Refused})
	l.settle(o.Replica, &o.packer)
}

// tried ends a try and, where there is to be another one, waits for it.
func (m *Manager) tried(ctx context.Context, o *observed, err error) (again bool) {
	l := m.lock()
	over, gone, pause := o.Tried(time.Now(), err)
	l.settle(o.Replica, &o.packer)
	switch {
	case !l.follows(o):
		over = true
	case gone:
		l.forget(o, protocol.End{Why: protocol.Deleted})
	case over:
		l.dropIfIdle(o)
	}
	l.unlock()
	if over {
		return false
	}
	m.log.Debug("cannot fetch an object anew", "object", o.URL(), "error", err)
	return backoff.Sleep(ctx, pause)
}
