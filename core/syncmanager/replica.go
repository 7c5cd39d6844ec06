package syncmanager

import (
	"context"
	"encoding/json"

	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// What waits on one way, or for the answer to a subscribe, before it is given up for the whole value.
const (
	maxQueued      = 256      // updates
	maxQueuedBytes = 1 << 20  // of their bodies
	maxBeforeEnd   = 64 << 10 // bytes that may wait on one way when the object ends; more is dropped then
)

// replica is an object as this runtime knows it, and who follows it here. Manager.mu guards it.
type replica struct {
	url       message.URL
	meta      object.Metadata // without data
	doc       object.Document
	packer    object.Packer
	followers map[message.URL]*feed // components of this runtime that observe the object
}

// whole is the metadata with the data in it.
func (r *replica) whole() object.Metadata {
	meta := r.meta
	meta.Data = r.doc.JSON()
	return meta
}

// feed is the way of one object's updates to one address: it keeps their order and lets nobody wait. Manager.mu
// guards it.
type feed struct {
	m        *Manager
	of       *replica
	from     message.URL
	to       message.URL
	local    bool        // to a syncher of this runtime: updates name their object
	reporter message.URL // not local: the source of what is published
	queue    []message.Message
	bytes    int  // of the bodies in queue
	whole    bool // the queue was too long: the whole value comes next, and covers what was in it
	active   bool // a goroutine empties the feed
}

// update queues an update, made by message. m.mu is held.
func (f *feed) update(msg message.Message) {
	switch {
	case f.whole: // it will be in the value
	case len(f.queue) >= maxQueued || f.bytes+len(msg.Body) > maxQueuedBytes:
		f.all()
	default:
		f.add(msg)
	}
}

// all queues the whole value, in place of everything that waits. m.mu is held.
func (f *feed) all() {
	f.queue, f.bytes, f.whole = nil, 0, true
	f.start()
}

// end queues the message that the object is gone, behind the updates that wait, unless these are large: an object that is gone
// is not counted any more, so a slow observer could have any number of them wait. m.mu is held.
func (f *feed) end(msg message.Message) {
	if f.bytes > maxBeforeEnd || f.whole && f.of.doc.Size() > maxBeforeEnd {
		f.last(msg)
		return
	}
	f.add(msg)
}

// last queues a message in place of everything that waits. m.mu is held.
func (f *feed) last(msg message.Message) {
	f.queue, f.bytes, f.whole = nil, 0, false
	f.add(msg)
}

// add queues a message. m.mu is held.
func (f *feed) add(msg message.Message) {
	f.queue = append(f.queue, msg)
	f.bytes += len(msg.Body)
	f.start()
}

// message is the update as the feed's destination wants it.
func (f *feed) message(u object.Update) message.Message {
	msg := message.Message{Type: message.Update, From: f.from, To: f.to}
	if u.Resource = ""; f.local {
		u.Resource = f.of.url
	} else {
		msg.Source = f.reporter
	}
	msg.Body = message.Encode(u)
	return msg
}

func (f *feed) start() {
	if f.active || f.m.closed {
		return
	}
	f.active = true
	f.m.tasks.Go(func() {
		for {
			msg, ok := f.next()
			if !ok {
				return
			}
			f.m.post(f.m.ctx, msg)
		}
	})
}

func (f *feed) next() (message.Message, bool) {
	f.m.mu.Lock()
	if f.whole {
		f.whole = false
		meta, doc := f.of.meta, f.of.doc
		f.m.mu.Unlock()
		return f.message(object.WholeUpdate(meta, doc)), true
	}
	defer f.m.mu.Unlock()
	if len(f.queue) == 0 || f.m.closed {
		f.active, f.queue, f.bytes = false, nil, 0
		return message.Message{}, false
	}
	msg := f.queue[0]
	f.queue[0] = message.Message{}
	f.queue = f.queue[1:]
	f.bytes -= len(msg.Body)
	return msg, true
}

// follow adds an observer of this runtime. It refuses where there are too many. m.mu is held.
func (m *Manager) follow(r *replica, observer message.URL) error {
	key := observer.Canonical()
	if r.followers[key] != nil {
		return nil
	}
	if len(r.followers) >= m.o.Limits.Observers || m.follows[key] >= m.o.Limits.PerComponent {
		return refuse(message.CodeTooMany, "too many observers of one object, or objects of one observer")
	}
	m.follows[key]++
	r.followers[key] = &feed{m: m, of: r, from: m.self, to: observer, local: true}
	return nil
}

// unfollow removes an observer of this runtime and tells whether it was one. m.mu is held.
func (m *Manager) unfollow(r *replica, observer message.URL) bool {
	key := observer.Canonical()
	if r.followers[key] == nil {
		return false
	}
	delete(r.followers, key)
	if m.follows[key]--; m.follows[key] == 0 {
		delete(m.follows, key)
	}
	return true
}

// end tells the followers that the object is gone, and forgets them. m.mu is held.
func (m *Manager) end(r *replica) {
	for observer, f := range r.followers {
		f.end(message.Message{Type: message.Delete, From: m.self, To: f.to, Body: message.Encode(resourceBody{r.url})})
		m.unfollow(r, observer)
	}
	m.bytes -= r.doc.Size() - object.Document{}.Size()
}

// become sets the object's data. It refuses where all objects together are too large. m.mu is held.
func (m *Manager) become(r *replica, meta object.Metadata, doc object.Document) error {
	grown := doc.Size() - r.doc.Size()
	if grown > 0 && m.bytes+grown > m.o.Limits.Bytes {
		return refuse(message.CodeTooMany, "the data objects of this runtime need too much memory")
	}
	m.bytes += grown
	meta.Data = nil
	r.meta, r.doc = meta, doc
	r.packer.Changed(r.url, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		r.doc = r.packer.Packed(r.doc)
	})
	return nil
}

// tell gives an update to the followers, who share its body. m.mu is held.
func (r *replica) tell(u object.Update) {
	var msg message.Message
	for _, f := range r.followers {
		if msg.Body == nil {
			msg = f.message(u)
		}
		msg.To = f.to
		f.update(msg)
	}
}

// tellAll gives the whole value to the followers. m.mu is held.
func (r *replica) tellAll() {
	for _, f := range r.followers {
		f.all()
	}
}

type resourceBody struct {
	Resource message.URL `json:"resource"`
}

// valueBody is the body of a response that carries an object (specification, "Subscribe").
type valueBody struct {
	Code     int             `json:"code"`
	Schema   message.URL     `json:"schema,omitempty"`
	Resource message.URL     `json:"resource,omitempty"`
	Owner    message.URL     `json:"owner,omitempty"`
	Children []string        `json:"childrenResources,omitempty"`
	Value    json.RawMessage `json:"value,omitempty"`
}

// value is the response to msg that carries the object. It is made without m.mu, which the encoding of a large object
// would hold for long, from a copy of the replica: what it reads of it is immutable.
func (r replica) value(msg message.Message) message.Message {
	return msg.RespondBody(message.Encode(valueBody{
		Code: message.CodeOK, Schema: r.meta.Schema, Resource: r.url, Owner: r.meta.Reporter, Children: r.meta.Childrens, Value: message.Encode(r.whole()),
	}))
}

// isObject tells whether an address can be a data object's: two parts, and no runtime, hyperty or back end.
func isObject(u message.URL) bool {
	if _, err := message.ParseURL(string(u)); err != nil || u == message.SessionAddress {
		return false
	}
	path := u.Path()
	return len(path) > 1 && u.Base() == u && !u.IsRuntime() && !u.IsBackEnd() && u.Scheme() != message.SchemeHyperty && u.Scheme() != "user"
}

// announce has a domain's Message Node send this runtime what is addressed to one of the addresses: for peers
// without sessions (specification, "Subscription manager"). It runs in the background, and a failure is logged only.
func (m *Manager) announce(t message.Type, domain string, owner message.URL, addresses ...message.URL) {
	m.task(m.self, func(ctx context.Context) {
		msg := message.Message{Type: t, From: m.self, To: message.SubscriptionAddress(domain), Source: owner, P2P: message.No}
		msg.Body = message.Encode(map[string][]message.URL{"resources": addresses})
		_, err := m.ask(ctx, msg)
		if err != nil && (codeOf(err) == message.CodeBadRequest || codeOf(err) == message.CodeError) && ctx.Err() == nil {
			// Some nodes want the other of the specification's two names.
			msg.Body = message.Encode(map[string][]message.URL{t.String(): addresses})
			_, err = m.ask(ctx, msg)
		}
		if err != nil && ctx.Err() == nil {
			m.log.Debug("the Message Node was not told of an object", "domain", domain, "operation", t, "object", addresses[0], "error", err)
		}
	})
}
