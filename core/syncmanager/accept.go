package syncmanager

import (
	"context"
	"fmt"

	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/core/syncmanager/internal/replica"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// authorise asks the reporter whether an observer may subscribe to its object, or read it (specification,
// "Subscribe": forward).
func (m *Manager) authorise(ctx context.Context, r *reported, observer message.URL, t message.Type) error {
	if away, err := m.authoriseAway(r, observer); away {
		return err
	}
	_, err := m.ask(ctx, m.messages.Forward(t, r.Reporter(), r.URL(), observer))
	return err
}

// authoriseAway decides in the name of a reporter that is away: whom it has allowed before may go on.
func (m *Manager) authoriseAway(r *reported, observer message.URL) (away bool, err error) {
	l := m.lock()
	defer l.unlock()
	since, away := r.Away()
	if away && !r.Knows(observer) {
		err = protocol.Refuse(message.CodeUnavailable, fmt.Sprintf("%s, who reports %s, is away since %s: try again when it is back",
			r.Reporter(), r.URL(), object.Time(since)))
	}
	return away, err
}

// remoteRequest serves what comes to U/subscription, and to U itself.
func (m *Manager) remoteRequest(r *reported, msg message.Message) {
	var body protocol.Request
	err := msg.Decode(&body)
	if err == nil {
		switch {
		case msg.Type == message.Response:
			return
		case msg.Type == message.Subscribe && msg.To.Canonical() != r.URL().Canonical():
			err = m.accept(r, msg, protocol.ObserverOf(msg, body))
		case msg.Type == message.Unsubscribe && msg.To.Canonical() != r.URL().Canonical():
			m.dismiss(r, msg, protocol.ObserverOf(msg, body))
		case msg.Type == message.Read:
			l := m.lock()
			defer l.unlock()
			l.readRemote(r, msg)
		default:
			err = protocol.Refuse(message.CodeBadRequest, string(msg.To)+" does not know "+msg.Type.String())
		}
	}
	if err != nil {
		m.refuse(msg, err)
	}
}

// accept serves a remote sync manager's subscribe.
func (m *Manager) accept(r *reported, msg message.Message, observer message.URL) error {
	runtime := msg.From.Runtime()
	if err := observer.Check(); err != nil {
		return protocol.Refuse(message.CodeBadRequest, "subscriber: "+err.Error())
	}
	if runtime == "" || runtime == m.o.Runtime.Canonical() || msg.From.Canonical() != runtime.Join("sm") {
		return protocol.Refuse(message.CodeForbidden, "a component subscribes through the sync manager of its own runtime")
	}
	if of := observer.Runtime(); of != "" && of != runtime {
		return protocol.Refuse(message.CodeForbidden, string(observer)+" is of another runtime")
	}
	m.task(msg.From, func(ctx context.Context) {
		err := m.verify(ctx, runtime, observer)
		if err == nil {
			err = m.authorise(ctx, r, observer, message.Subscribe)
		}
		if err != nil {
			m.post(ctx, protocol.Refusal(msg, err))
			return
		}
		m.inTurn(ctx, msg.From, func() {
			answer, err := m.admit(r, msg, runtime, observer)
			if err != nil {
				m.notEntered(r, observer)
				answer = protocol.Refusal(msg, err)
			}
			m.post(ctx, answer)
		})
	})
	return nil
}

// verify refuses an observer that is not the remote runtime's: the reporter decides by the observer's address alone.
func (m *Manager) verify(ctx context.Context, runtime, observer message.URL) error {
	if m.o.Verify == nil {
		return nil
	}
	return m.o.Verify(ctx, runtime, observer)
}

// admit enters a remote observer and makes the answer, which has the value as it is at that moment: every later
// update is forwarded.
func (m *Manager) admit(r *reported, msg message.Message, remote, observer message.URL) (message.Message, error) {
	stop := m.bus.Forward(object.Changes(r.URL()), remote)
	now, err := m.enterRemote(r, remote, observer, stop)
	if err != nil {
		return message.Message{}, err
	}
	return now.Answer(msg), nil
}

// enterRemote enters a remote observer. stop ends a forwarding of U/changes to its runtime; it is called where there is one
// already.
func (m *Manager) enterRemote(r *reported, remote, observer message.URL, stop func()) (replica.Snapshot, error) {
	l := m.lock()
	defer l.unlock()
	err := protocol.NotYours(r.URL(), false)
	if l.serves(r) {
		err = r.Enter(remote, observer)
		l.note(r)
	}
	if err != nil || r.forwards[remote] != nil {
		l.afterwards(stop)
	} else {
		r.forwards[remote] = stop
	}
	return r.Snapshot(), err
}

// unforward ends the forwarding of U/changes to a remote runtime that has no observers any more.
func (m locked) unforward(r *reported, remote message.URL) {
	if stop := r.forwards[remote]; stop != nil && !r.ObservedFrom(remote) {
		delete(r.forwards, remote)
		m.afterwards(stop)
	}
}

// dismiss serves a remote sync manager's unsubscribe. The reporter is told.
func (m *Manager) dismiss(r *reported, msg message.Message, observer message.URL) {
	l := m.lock()
	defer l.unlock()
	was := r.Exit(msg.From.Runtime(), observer)
	l.unforward(r, msg.From.Runtime())
	l.note(r)
	_, away := r.Away()
	if was && away { // its application may just be restarting
		r.Former([]message.URL{observer})
	}
	l.task(msg.From, func(ctx context.Context) {
		m.post(ctx, msg.Respond(message.CodeOK, nil))
		if was && !away {
			m.post(ctx, m.messages.Forward(message.Unsubscribe, r.Reporter(), r.URL(), observer))
		}
	})
}

// readRemote serves a read of the object, by whoever the reporter would let subscribe (specification, "Read").
func (m locked) readRemote(r *reported, msg message.Message) {
	m.task(msg.From, func(ctx context.Context) {
		if err := m.authorise(ctx, r, msg.From, message.Read); err != nil {
			if protocol.CodeOf(err) == message.CodeForbidden { // a rejected read has a code of its own
				err = protocol.Refuse(message.CodeUnauthorised, string(r.URL())+" is not for "+string(msg.From))
			}
			m.post(ctx, protocol.Refusal(msg, err))
			return
		}
		m.inTurn(ctx, msg.From, func() { m.post(ctx, m.now(r).Answer(msg)) })
	})
}

// now is an object as it is now.
func (m *Manager) now(r *reported) replica.Snapshot {
	l := m.lock()
	defer l.unlock()
	return r.Snapshot()
}

// notEntered tells the reporter that an observer whom it has allowed does not observe.
func (m *Manager) notEntered(r *reported, observer message.URL) {
	l := m.lock()
	defer l.unlock()
	if l.serves(r) && !r.ObservedBy(observer) {
		l.tellLeft(r, observer)
	}
}
