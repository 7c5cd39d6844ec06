package syncmanager

import (
	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/core/syncmanager/internal/reporting"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// update serves a reporter's change: the object takes it, and it is published in the background. The listener waits
// for nobody, so updates keep their order.
func (m *Manager) update(msg message.Message) error {
	var u object.Update
	if err := msg.Decode(&u); err != nil {
		return err
	}
	change, err := reporting.Read(u)
	if err != nil {
		return err
	}
	l := m.lock()
	defer l.unlock()
	r, err := l.reports(u.Resource, msg.From)
	if err != nil {
		return err
	}
	if !r.keep {
		if err := r.Change(change); err != nil {
			return err
		}
		l.settle(r.Replica, &r.packer)
		l.answer(msg.Respond(message.CodeOK, nil))
		return nil
	}
	l.alter(r, write{
		next: func() (replicaOf, error) {
			meta, doc, err := r.After(change)
			return replicaOf{meta, doc}, err
		},
		apply: func() error { return r.Change(change) },
		then: func(err error) {
			if err != nil {
				l.answer(protocol.Refusal(msg, err))
				return
			}
			l.settle(r.Replica, &r.packer)
			l.answer(msg.Respond(message.CodeOK, nil))
		},
	})
	return nil
}
