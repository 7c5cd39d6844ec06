package core

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/minibus"
)

// watched is the messages of this runtime's applications whose senders want to know what becomes of them. Whoever learns
// something final of one says so here; the first word counts.
type watched struct {
	rt *Runtime
	n  atomic.Int32 // how many: while there are none, a message costs one load

	mu sync.Mutex
	by map[watchKey]*watch // of this runtime's own messages, each until its outcome
}

type watchKey struct {
	from message.URL
	id   message.ID
}

func keyOf(from message.URL, id message.ID) watchKey { return watchKey{from.Canonical(), id.Key()} }

// watch is one of them.
type watch struct {
	all  *watched
	key  watchKey
	tell func(hyperty.Outcome)
	to   message.URL
	by   message.URL // the stub that it left by without a session, to a Message Node itself or through it: the answer is the outcome
	late *time.Timer // ends the wait for that answer
}

// answerTime is how long the answer to a message that left without a session may take.
const answerTime = minibus.DefaultTimeout

// add begins to watch m.
func (w *watched) add(m *message.Message, tell func(hyperty.Outcome)) error {
	if m.ID.IsZero() {
		return errors.New("a message without an id cannot be watched")
	}
	key := keyOf(m.From, m.ID)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by[key] != nil {
		return &message.ResponseError{Code: message.CodeConflict, From: w.rt.URL(),
			Description: fmt.Sprintf("message %s of %s is watched already: use another id, or none", m.ID, m.From)}
	}
	if w.by == nil {
		w.by = map[watchKey]*watch{}
	}
	w.by[key] = &watch{all: w, key: key, to: m.To, tell: tell}
	w.n.Store(int32(len(w.by)))
	return nil
}

// find is the watch of a message; nil: nobody asks.
func (w *watched) find(m *message.Message) *watch {
	if w.n.Load() == 0 {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.by[keyOf(m.From, m.ID)]
}

// drop ends a watch without a word. It is false where it has ended before.
func (w *watched) drop(key watchKey) (*watch, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	one := w.by[key]
	if one == nil {
		return nil, false
	}
	delete(w.by, key)
	w.n.Store(int32(len(w.by)))
	if one.late != nil {
		one.late.Stop()
	}
	return one, true
}

// settle says what became of the message, where it is watched.
func (w *watched) settle(key watchKey, o hyperty.Outcome) {
	if w.n.Load() == 0 {
		return
	}
	if one, ok := w.drop(key); ok {
		one.tell(o)
	}
}

// end drops everything that an application that has gone wanted to know.
func (w *watched) end(of message.URL) {
	if w.n.Load() == 0 {
		return
	}
	w.mu.Lock()
	var keys []watchKey
	for key := range w.by {
		if key.from.Within(of) {
			keys = append(keys, key)
		}
	}
	w.mu.Unlock()
	for _, key := range keys {
		w.settle(key, hyperty.Outcome{State: hyperty.InDoubt, Reason: "its sender has been unregistered"})
	}
}

// leaves notes that the message is about to leave by a stub without a session: the answer may be quicker than who sends
// it. one may be nil: nobody asks.
func (w *watched) leaves(one *watch, stub message.URL) {
	if one == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	one.by = stub
}

// answers notes that the message has left without a session: only an answer says what became of it, in time.
func (w *watched) answers(one *watch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by[one.key] != one || one.late != nil {
		return
	}
	one.late = time.AfterFunc(answerTime, func() {
		w.settle(one.key, hyperty.Outcome{State: hyperty.InDoubt, Reason: fmt.Sprintf("it went without a session, and nobody has answered within %v", answerTime)})
	})
}

// Receipt goes with a watched message to a listener in this runtime; see bus.Watcher.
func (w *watched) Receipt(m message.Message) minibus.Receipt {
	if one := w.find(&m); one != nil {
		return minibus.Receipt{By: one}
	}
	return minibus.Receipt{}
}

// Refused is told of every response that this runtime gives to one of its own messages; see bus.Watcher.
func (w *watched) Refused(m *message.Message, err error) {
	if w.n.Load() > 0 {
		w.settle(keyOf(m.From, m.ID), refusedWith(err))
	}
}

func refusedWith(err error) hyperty.Outcome {
	var known *message.ResponseError
	if errors.As(err, &known) {
		return hyperty.Outcome{State: hyperty.Refused, Code: known.Code, Reason: known.Description}
	}
	return hyperty.Outcome{State: hyperty.Refused, Code: message.CodeError, Reason: err.Error()}
}

// Answered is told of every response that came by a Message Node's stub without a session; see bus.Watcher. It says what
// became of a message that left by that stub, where it comes from whom that was for.
func (w *watched) Answered(stub message.URL, m *message.Message) {
	if w.n.Load() == 0 || m.Provisional() {
		return
	}
	key := keyOf(m.To, m.ID)
	w.mu.Lock()
	one := w.by[key]
	asked := one != nil && one.by == stub && stub != "" && minibus.Answers(one.to, m.From)
	w.mu.Unlock()
	if !asked {
		return
	}
	if _, err := m.OK(); err != nil {
		w.settle(key, refusedWith(err))
		return
	}
	w.settle(key, hyperty.Outcome{State: hyperty.Delivered})
}

// Settled is told by a listener in this runtime what became of the message; see minibus.Taker.
func (one *watch) Settled(_ uint64, _ uint32, code int) { one.all.settle(one.key, outcomeOf(code)) }

// Failed is told that the listener has gone; see minibus.Taker.
func (one *watch) Failed(_ uint64, _ uint32, m message.Message, why error) {
	one.all.settle(one.key, refusedWith(why))
	one.all.rt.refusals.add("", m, why)
}

// outcomeOf is what the code of a settled message says.
func outcomeOf(code int) hyperty.Outcome {
	switch {
	case code < 300:
		return hyperty.Outcome{State: hyperty.Delivered}
	case code == message.CodeNotFound:
		return hyperty.Outcome{State: hyperty.Refused, Code: code, Reason: "nobody has the address, or not any more"}
	case code == message.CodeForbidden:
		return hyperty.Outcome{State: hyperty.Refused, Code: code, Reason: "the other runtime does not allow it"}
	case code == message.CodeUnavailable:
		return hyperty.Outcome{State: hyperty.InDoubt, Code: code, Reason: "its receiver has gone, or takes nothing"}
	}
	return hyperty.Outcome{State: hyperty.Refused, Code: code, Reason: "the other runtime has refused it"}
}

// event takes from a session what became of messages.
func (w *watched) event(e session.Event) {
	if w.n.Load() == 0 {
		return
	}
	for _, m := range e.Messages {
		o := hyperty.Outcome{Reason: e.Why}
		switch {
		case e.Kind == session.Settled:
			o = outcomeOf(e.Code)
		case e.Kind == session.Expired && e.MayHaveArrived:
			o.State, o.Reason = hyperty.Expired, e.Why+"; it may have arrived"
		case e.Kind == session.Expired:
			o.State = hyperty.Expired
		case e.MayHaveArrived:
			o.State = hyperty.InDoubt
		default:
			o.State, o.Code = hyperty.Refused, message.CodeUnavailable
		}
		w.settle(keyOf(m.From, m.ID), o)
	}
}

// Watch is Post for a message whose sender wants to know what becomes of it; see hyperty.Attachment.
func (a *attachment) Watch(ctx context.Context, m message.Message, tell func(hyperty.Outcome)) error {
	if err := a.rt.watched.add(&m, tell); err != nil {
		return err
	}
	err := a.Post(ctx, m)
	if err != nil {
		a.rt.watched.drop(keyOf(m.From, m.ID))
	}
	return err
}
