package syncmanager

import (
	"context"
	"fmt"

	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// authorise asks the reporter whether an observer may subscribe to its object, or read it (specification,
// "Subscribe": forward).
func (m *Manager) authorise(ctx context.Context, r *reported, observer message.URL, t message.Type) error {
	_, err := m.ask(ctx, m.forward(r, observer, t))
	return err
}

func (m *Manager) forward(r *reported, observer message.URL, t message.Type) message.Message {
	return message.Message{Type: message.Forward, From: m.self, To: r.reporter, Body: message.Encode(map[string]any{
		"type": t, "from": observer, "to": r.url,
	})}
}

// remoteRequest serves what comes to U/subscription, and to U itself.
func (m *Manager) remoteRequest(r *reported, msg message.Message) {
	var body request
	err := msg.Decode(&body)
	if err == nil {
		switch {
		case msg.Type == message.Response:
			return
		case msg.Type == message.Subscribe && msg.To.Canonical() != r.url.Canonical():
			err = m.accept(r, msg, observerOf(msg, body))
		case msg.Type == message.Unsubscribe && msg.To.Canonical() != r.url.Canonical():
			m.dismiss(r, msg, observerOf(msg, body))
		case msg.Type == message.Read:
			m.readRemote(r, msg)
		default:
			err = refuse(message.CodeBadRequest, string(msg.To)+" does not know "+msg.Type.String())
		}
	}
	if err != nil {
		m.refuse(msg, err)
	}
}

// observerOf is the component that a sync manager asks for: the specification and the reference name it differently.
func observerOf(msg message.Message, body request) message.URL {
	if body.Subscriber != "" {
		return body.Subscriber
	}
	return msg.Source
}

// accept serves a remote sync manager's subscribe.
func (m *Manager) accept(r *reported, msg message.Message, observer message.URL) error {
	runtime := msg.From.Runtime()
	if _, err := message.ParseURL(string(observer)); err != nil {
		return refuse(message.CodeBadRequest, "subscriber: "+err.Error())
	}
	if runtime == "" || runtime == m.o.Runtime.Canonical() || msg.From.Canonical() != runtime.Join("sm") {
		return refuse(message.CodeForbidden, "a component subscribes through the sync manager of its own runtime")
	}
	if of := observer.Runtime(); of != "" && of != runtime {
		return refuse(message.CodeForbidden, string(observer)+" is of another runtime")
	}
	m.task(msg.From, func(ctx context.Context) {
		err := m.verify(ctx, runtime, observer)
		if err == nil {
			err = m.authorise(ctx, r, observer, message.Subscribe)
		}
		if err != nil {
			m.post(ctx, refusal(msg, err))
			return
		}
		m.inTurn(ctx, msg.From, func() {
			answer, err := m.admit(r, msg, runtime, observer)
			if err != nil {
				answer = refusal(msg, err)
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
func (m *Manager) admit(r *reported, msg message.Message, runtime, observer message.URL) (message.Message, error) {
	stop := m.bus.Forward(object.Changes(r.url), runtime)
	m.mu.Lock()
	known, err := m.enterRemote(r, runtime, observer, stop)
	now := r.replica
	m.mu.Unlock()
	if known || err != nil {
		stop()
	}
	if err != nil {
		return message.Message{}, err
	}
	return now.value(msg), nil
}

// enterRemote tells whether the runtime is known already. m.mu is held.
func (m *Manager) enterRemote(r *reported, runtime, observer message.URL, stop func()) (known bool, err error) {
	if m.reported[r.url.Canonical()] != r {
		return false, notYours(r.url, false)
	}
	to := r.remotes[runtime]
	if known = to != nil; !known {
		if len(r.remotes) >= m.o.Limits.Remotes {
			return false, refuse(message.CodeTooMany, "too many runtimes observe "+string(r.url))
		}
		to = &remote{observers: make(map[message.URL]struct{}), stop: stop}
		r.remotes[runtime] = to
	}
	if err := m.observe(to, runtime, observer.Canonical(), len(to.observers) < m.o.Limits.Observers); err != nil {
		if !known {
			delete(r.remotes, runtime)
		}
		return known, fmt.Errorf("%s: %w", r.url, err)
	}
	return known, nil
}

// What is kept of the components of one remote runtime that observe objects here, and what one of them counts besides its
// address.
const (
	maxWatching  = 4 << 20
	watchingSize = 64
)

// observe enters an observer, which may be known. m.mu is held.
func (m *Manager) observe(to *remote, runtime, observer message.URL, room bool) error {
	if _, again := to.observers[observer]; again {
		return nil
	}
	size := watchingSize + len(observer)
	if !room || m.watching[runtime]+size > maxWatching {
		return refuse(message.CodeTooMany, "too many observers of one runtime")
	}
	m.watching[runtime] += size
	to.observers[observer] = struct{}{}
	return nil
}

// unobserve forgets an observer and tells whether it was one. m.mu is held.
func (m *Manager) unobserve(to *remote, runtime, observer message.URL) bool {
	_, was := to.observers[observer]
	if was {
		delete(to.observers, observer)
		if m.watching[runtime] -= watchingSize + len(observer); m.watching[runtime] == 0 {
			delete(m.watching, runtime)
		}
	}
	return was
}

// unobserveAll forgets all observers of one runtime and object. m.mu is held.
func (m *Manager) unobserveAll(to *remote, runtime message.URL) {
	for observer := range to.observers {
		m.unobserve(to, runtime, observer)
	}
}

// dismiss serves a remote sync manager's unsubscribe. The reporter is told.
func (m *Manager) dismiss(r *reported, msg message.Message, observer message.URL) {
	m.mu.Lock()
	to := r.remotes[msg.From.Runtime()]
	was := false
	var stop func()
	if to != nil {
		was = m.unobserve(to, msg.From.Runtime(), observer.Canonical())
		if len(to.observers) == 0 {
			delete(r.remotes, msg.From.Runtime())
			stop = to.stop
		}
	}
	m.mu.Unlock()
	m.task(msg.From, func(ctx context.Context) {
		if stop != nil {
			stop()
		}
		m.post(ctx, msg.Respond(message.CodeOK, nil))
		if was {
			m.post(ctx, m.forward(r, observer, message.Unsubscribe))
		}
	})
}

// readRemote serves a read of the object, by whoever the reporter would let subscribe (specification, "Read").
func (m *Manager) readRemote(r *reported, msg message.Message) {
	m.task(msg.From, func(ctx context.Context) {
		if err := m.authorise(ctx, r, msg.From, message.Read); err != nil {
			if codeOf(err) == message.CodeForbidden { // a rejected read has a code of its own
				err = refuse(message.CodeUnauthorised, string(r.url)+" is not for "+string(msg.From))
			}
			m.post(ctx, refusal(msg, err))
			return
		}
		m.inTurn(ctx, msg.From, func() {
			m.mu.Lock()
			now := r.replica
			m.mu.Unlock()
			m.post(ctx, now.value(msg))
		})
	})
}
