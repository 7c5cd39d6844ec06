package syncmanager

import (
	"context"
	"time"

	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/internal/object/life"
	"github.com/protofly/protofly/sdk/message"
)

// leastWait is how long the clock waits at least, so that many moments near to each other cost little.
const leastWait = 100 * time.Millisecond

// keepTime does what is due, until the sync manager ends.
func (m *Manager) keepTime(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			timer.Reset(m.doDue(time.Now()))
		case <-m.alarm:
			timer.Reset(leastWait)
		case <-ctx.Done():
			return
		}
	}
}

// wake has the clock look again what is due.
func (m *Manager) wake() {
	select {
	case m.alarm <- struct{}{}:
	default:
	}
}

// doDue ends the objects whose time is over, asks the runtimes that are to be asked, and returns when to do that again.
func (m *Manager) doDue(now time.Time) time.Duration {
	l := m.lock()
	defer l.unlock()
	next := now.Add(time.Hour)
	due := func(at time.Time, ok bool) bool {
		if ok && at.After(now) && at.Before(next) {
			next = at
		}
		return ok && !at.After(now)
	}
	due(l.missed.Expire(now))
	for r := range l.away {
		if due(r.Due()) {
			delete(l.away, r)
			l.remove(r, protocol.End{Why: protocol.Expired}, nil)
		}
	}
	for remote, c := range l.contacts {
		if due(c.Due()) {
			l.askRuntime(remote, c)
		}
		if _, lost := c.Heard(); lost {
			for o := range c.objects {
				if due(o.Due()) {
					l.forget(o, protocol.End{Why: protocol.Expired})
				}
			}
		}
	}
	return max(next.Sub(now), leastWait)
}

// left is told that an object's reporter has gone.
func (m locked) left(r *reported, now time.Time) {
	r.ReporterGone(now)
	m.settle(r.Replica, &r.packer)
	m.away[r] = struct{}{}
	m.wake()
}

// returned is told that an object's reporter is back.
func (m locked) returned(r *reported) {
	r.ReporterBack()
	m.settle(r.Replica, &r.packer)
	delete(m.away, r)
}

// follow keeps the contact with the runtime of an observed object, whose value has just come from there.
func (m locked) follow(o *observed) {
	if o.via != nil || !o.Followed() || m.o.Remote == nil || !m.follows(o) {
		return
	}
	remote := m.o.Remote(o.URL())
	if remote == "" {
		return
	}
	c := m.contacts[remote]
	if c == nil {
		c = &contact{Contact: life.NewContact(time.Now()), objects: make(map[*observed]struct{})}
		m.contacts[remote] = c
		m.wake()
	}
	c.objects[o] = struct{}{}
	o.via, o.remote = c, remote
}

// unfollow ends the contact for an object, which is forgotten.
func (m locked) unfollow(o *observed) {
	if o.via == nil {
		return
	}
	delete(o.via.objects, o)
	if len(o.via.objects) == 0 && m.contacts[o.remote] == o.via {
		delete(m.contacts, o.remote)
	}
	o.via = nil
}

// askRuntime asks a runtime whether it is there.
func (m locked) askRuntime(remote message.URL, c *contact) {
	c.Ask()
	heard := c.heard
	m.spawn(func(ctx context.Context) {
		here, err := m.askOnce(ctx, remote, heard)
		if ctx.Err() != nil {
			return
		}
		l := m.lock()
		defer l.unlock()
		if err == nil {
			l.answered(c, here)
		} else {
			m.log.Debug("a runtime whose objects are observed does not answer", "remote", remote, "error", err)
			l.unanswered(c)
		}
		l.wake()
	})
}

// askOnce asks a runtime's sync manager which life of it is there, and what was missed here since what was heard.
func (m *Manager) askOnce(ctx context.Context, remote message.URL, heard protocol.Heard) (here protocol.Here, err error) {
	ctx, cancel := context.WithTimeout(ctx, life.AskTime)
	defer cancel()
	answer, err := m.ask(ctx, m.messages.Ask(remote, heard))
	if err == nil {
		err = answer.Decode(&here)
	}
	return here, err
}

// answered is told that a runtime has answered. Where it was away, its objects are fetched anew; else those of which it says that
// something was missed here.
func (m locked) answered(c *contact, here protocol.Here) {
	returned := c.Answered(time.Now(), here.Life)
	if !returned && here.Missed == nil {
		return
	}
	for o := range c.objects {
		if returned || here.Missed.Covers(o.URL().Canonical()) {
			o.Renew(true)
			m.keepUp(o)
		}
	}
	if here.Missed != nil {
		c.heard = protocol.Heard{Life: here.Life, Number: here.Missed.Number}
	}
}

// unanswered is told that a runtime has not answered. Where it counts as lost now, the observers of its objects are told.
func (m locked) unanswered(c *contact) {
	if !c.Failed(time.Now()) {
		return
	}
	heard, _ := c.Heard()
	for o := range c.objects {
		o.Lost(heard)
		m.settle(o.Replica, &o.packer)
	}
}

// here answers a remote sync manager that asks whether this runtime is there.
func (m *Manager) here(msg message.Message) {
	var heard protocol.Heard
	if msg.Decode(&heard) != nil || heard.Life != m.life {
		heard.Number = 0
	}
	answer := protocol.Here{Code: message.CodeOK, Life: m.life}
	l := m.lock()
	defer l.unlock()
	if news := l.missed.Tell(msg.From.Runtime(), heard.Number); news.Number > 0 {
		answer.Missed = &news
	}
	l.answer(msg.RespondBody(message.Encode(answer)))
}

// Undelivered is told of messages to a remote runtime that were given up, or that it has refused. What they said of objects that are
// reported here it is told when it asks next whether this runtime is there.
func (m *Manager) Undelivered(remote message.URL, list []message.Message) {
	var last message.URL
	now := time.Now()
	l := m.lock()
	defer l.unlock()
	for i := range list {
		if url := protocol.Published(&list[i]); url != last && url != "" {
			l.missed.Add(now, remote.Canonical(), url.Canonical())
			last = url
		}
	}
}
