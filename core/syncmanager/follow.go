package syncmanager

import (
	"context"
	"time"

	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

const (
	maxRefusals = 5  // answers 404 to a renewal before the object counts as gone: its reporter may be coming back
	maxRenewals = 64 // that ask at the same time
)

// changed takes what is published at U/changes.
func (m *Manager) changed(o *observed, msg message.Message) {
	from := msg.From.Canonical()
	switch url := o.url.Canonical(); {
	case msg.Type == message.Update && from == url:
		var u object.Update
		err := msg.Decode(&u)
		if err == nil {
			err = u.Check()
		}
		if err != nil {
			m.log.Warn("cannot read an update", "object", o.url, "error", err)
			return
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.observed[url] == o {
			m.take(o, u)
		}
	case msg.Type == message.Delete && (from == url || from == object.Subscription(url)):
		m.mu.Lock()
		m.takeEarly(o)
		gone := m.gone(o)
		m.mu.Unlock()
		gone()
	default:
		m.log.Debug("what is not from the object itself is ignored", "object", o.url, "type", msg.Type, "from", msg.From)
	}
}

// gone ends an observed object: its followers are told. m.mu is held; what it returns is called without it.
func (m *Manager) gone(o *observed) func() {
	if m.observed[o.url.Canonical()] != o {
		return func() {}
	}
	m.forget(o)
	return func() {
		o.stop()
		m.announce(message.Unsubscribe, o.url.NodeDomain(), m.self, object.Changes(o.url))
	}
}

// takeEarly applies the updates that wait for a value that is being fetched anew, as far as they follow the one that is known: it
// is the last moment for them. m.mu is held.
func (m *Manager) takeEarly(o *observed) {
	if m.observed[o.url.Canonical()] != o || !o.joining || len(o.followers) == 0 { // without followers no value is known
		return
	}
	early := o.early
	o.joining, o.early, o.bytes = false, nil, 0
	for i := range early {
		m.take(o, early[i])
	}
}

// take applies an update and gives it to the followers. m.mu is held.
func (m *Manager) take(o *observed, u object.Update) {
	if o.joining {
		o.early = append(o.early, u)
		o.bytes += u.Size()
		for len(o.early) > maxQueued || o.bytes > maxQueuedBytes { // the oldest are the likeliest to be in the answer
			o.bytes -= o.early[0].Size()
			o.early = o.early[1:]
		}
		return
	}
	if u.Attribute == "" {
		m.takeWhole(o, u)
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
	if err == nil && version == o.meta.Version+1 {
		meta := o.meta
		if meta.Version = version; u.LastModified != "" {
			meta.LastModified = u.LastModified
		}
		err = m.become(&o.replica, meta, doc)
	}
	if err != nil || version != o.meta.Version {
		m.log.Debug("fetching an object anew", "object", o.url, "version", o.meta.Version, "update", version, "error", err)
		m.renew(o, false)
		return
	}
	u.Version = &version
	o.tell(u)
}

// takeWhole applies an update that carries the complete value. m.mu is held.
func (m *Manager) takeWhole(o *observed, u object.Update) {
	meta, doc, err := object.ParseWhole(u.Value)
	if err == nil && meta.Version <= o.meta.Version {
		return
	}
	meta.URL, meta.Childrens = o.url, names(meta.Childrens)
	meta.Reporter, meta.Runtime = o.meta.Reporter, o.meta.Runtime // as in the answer to the subscribe
	if err == nil {
		err = m.become(&o.replica, meta, doc)
	}
	if err != nil {
		m.log.Warn("cannot read an object", "object", o.url, "error", err)
		return
	}
	o.tellAll()
}

// Refresh has every object of a remote runtime subscribed to again, of all remote runtimes where it is "": after that
// runtime, or the way to it, has been away. Observers whose object has changed get the whole value.
func (m *Manager) Refresh(remote message.URL) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range m.observed {
		if remote == "" || o.meta.Runtime.Runtime() == remote.Canonical() {
			m.renew(o, true)
		}
	}
}

// renew subscribes again in the background: for one follower, which is enough for the value, or for all, where the
// reporter's side may have forgotten them. m.mu is held.
func (m *Manager) renew(o *observed, all bool) {
	if m.closed || m.observed[o.url.Canonical()] != o || (o.joining && o.waiting > 0) {
		return
	}
	o.joining = true
	if o.again { // it goes round once more
		return
	}
	o.again = true
	m.spawn(func(ctx context.Context) {
		refused := 0
		for wait := time.Second; ctx.Err() == nil; wait = min(2*wait, time.Minute) {
			var err error
			select {
			case m.renewals <- struct{}{}:
				err = m.renewOnce(ctx, o, all)
				<-m.renewals
			case <-ctx.Done():
				return
			}
			if codeOf(err) == message.CodeNotFound {
				refused++
			}
			if m.renewEnds(o, err == nil, refused >= maxRefusals) {
				return
			}
			m.log.Debug("cannot fetch an object anew", "object", o.url, "error", err)
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
		}
	})
}

// renewEnds tells whether a renewal is over: it succeeded and no update was missed since, nobody wants it any more, or
// the object is gone.
func (m *Manager) renewEnds(o *observed, succeeded, lost bool) bool {
	after := func() {}
	defer func() { after() }()
	m.mu.Lock()
	defer m.mu.Unlock()
	if lost && !succeeded {
		after = m.gone(o)
	}
	fresh := succeeded && (!o.joining || len(o.followers) == 0)
	if fresh || m.observed[o.url.Canonical()] != o {
		o.again = false
		after = chain(after, m.dropIfIdle(o))
		return true
	}
	return false
}

func chain(fs ...func()) func() {
	return func() {
		for _, f := range fs {
			f()
		}
	}
}

// renewOnce tries once, for one follower or for all. One that is forbidden now loses the object.
func (m *Manager) renewOnce(ctx context.Context, o *observed, all bool) error {
	m.mu.Lock()
	var observers []message.URL
	for _, f := range o.followers {
		observers = append(observers, f.to)
	}
	m.mu.Unlock()
	fetched := false
	var failed error
	for _, observer := range observers {
		meta, doc, err := m.fetch(ctx, o, observer)
		if err == nil && !fetched {
			fetched = true
			err = m.renewed(o, meta, doc)
		}
		switch {
		case err == nil && !all:
			return nil
		case err == nil:
		case codeOf(err) == message.CodeForbidden:
			m.lose(o, observer)
		default:
			failed = err
		}
	}
	return failed
}

// renewed takes the value of a renewal.
func (m *Manager) renewed(o *observed, meta object.Metadata, doc object.Document) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.observed[o.url.Canonical()] != o {
		return nil
	}
	if o.joining { // else the answer to another subscribe has come first
		if err := m.adopt(o, meta, doc); err != nil {
			return err
		}
	}
	return nil
}

// lose takes an object from a follower that may not observe it any more.
func (m *Manager) lose(o *observed, observer message.URL) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := o.followers[observer.Canonical()]; f != nil {
		f.last(message.Message{Type: message.Delete, From: m.self, To: f.to, Body: message.Encode(resourceBody{o.url})})
		m.unfollow(&o.replica, observer)
	}
}
