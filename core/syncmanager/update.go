package syncmanager

import (
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// update serves a reporter's change: the replica takes it, and it is published in the background. The listener waits
// for nobody, so updates keep their order.
func (m *Manager) update(msg message.Message) error {
	var u object.Update
	if err := msg.Decode(&u); err != nil {
		return err
	}
	if err := u.Check(); err != nil {
		return err
	}
	if err := m.change(msg.From, u); err != nil {
		return err
	}
	m.answer(msg.Respond(message.CodeOK, nil))
	return nil
}

func (m *Manager) change(from message.URL, u object.Update) error {
	var meta object.Metadata
	var doc object.Document
	var err error
	if u.Attribute == "" { // the whole value, after an answer was lost
		if meta, doc, err = object.ParseWhole(u.Value); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.reported[u.Resource.Canonical()]
	if r == nil || r.reporter != from.Canonical() {
		return notYours(u.Resource, r != nil)
	}
	if u.Attribute == "" {
		if meta.Version <= r.meta.Version {
			return refuse(message.CodeConflict, "the version is old")
		}
		if err := m.become(&r.replica, r.describe(meta), doc); err != nil {
			return err
		}
		r.publishAll()
		return nil
	}
	if u.Version == nil || *u.Version != r.meta.Version+1 {
		return refuse(message.CodeConflict, "the update is not for the version that is known here")
	}
	if doc, err = r.doc.Apply(u.Change()); err != nil {
		return err
	}
	meta = r.meta
	meta.Version, meta.LastModified = *u.Version, u.LastModified
	if err := m.become(&r.replica, meta, doc); err != nil {
		return err
	}
	r.publish(u)
	return nil
}
