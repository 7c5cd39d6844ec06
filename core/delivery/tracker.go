package delivery

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// Tracker has the tracked messages of this runtime's applications, each until its outcome. Every part of the core that learns
// a final state of a message reports it here; the first report counts. It is the MessageBus's [bus.Tracker]. The zero value
// works; its methods may be called from many goroutines.
type Tracker struct {
	Self message.URL // this runtime: errors name it
	// Refuse tells the sender of m, a message of this runtime, that its listener has gone. It must not wait; nil: senders are
	// not told.
	Refuse func(m message.Message, why error)

	count atomic.Int32 // of tracked messages: while there are none, a message costs one load

	mu       sync.Mutex
	messages map[key]*Message
}

// key is what identifies a message of this runtime until its outcome.
type key struct {
	from message.URL // canonical
	id   message.ID  // its key
}

func keyOf(from message.URL, id message.ID) key { return key{from.Canonical(), id.Key()} }

// Message is a tracked message. nil stands for a message that is not tracked: its methods do nothing.
type Message struct {
	tracker *Tracker
	key     key
	tell    func(hyperty.Outcome)
	to      message.URL
	stub    message.URL // by which it left without a session: the answer that comes by the same stub is its outcome
	overdue *time.Timer // ends the wait for that answer
}

// AnswerTime is how long the answer to a tracked message that left without a session may take.
const AnswerTime = minibus.DefaultTimeout

// Add begins to track m: tell is called once with its outcome, unless [Tracker.Drop] comes before. The error is a
// *message.ResponseError with the code 409 where a message of that sender with that ID is tracked already.
func (t *Tracker) Add(m *message.Message, tell func(hyperty.Outcome)) error {
	if m.ID.IsZero() {
		return errors.New("a message without an id cannot be tracked")
	}
	k := keyOf(m.From, m.ID)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.messages[k] != nil {
		return &message.ResponseError{Code: message.CodeConflict, From: t.Self,
			Description: fmt.Sprintf("message %s of %s is tracked already: use another id, or none", m.ID, m.From)}
	}
	if t.messages == nil {
		t.messages = map[key]*Message{}
	}
	t.messages[k] = &Message{tracker: t, key: k, to: m.To, tell: tell}
	t.count.Store(int32(len(t.messages)))
	return nil
}

// Find returns the tracked message with that sender and ID; nil: it is not tracked.
func (t *Tracker) Find(from message.URL, id message.ID) *Message {
	if t.count.Load() == 0 {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.messages[keyOf(from, id)]
}

// Drop ends the tracking of a message without an outcome: it was not posted, and the caller of Add knows that.
func (t *Tracker) Drop(from message.URL, id message.ID) { t.drop(keyOf(from, id)) }

// drop returns nil if the tracking has ended before.
func (t *Tracker) drop(k key) *Message {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.messages[k]
	if one == nil {
		return nil
	}
	delete(t.messages, k)
	t.count.Store(int32(len(t.messages)))
	if one.overdue != nil {
		one.overdue.Stop()
	}
	return one
}

// Settle reports the outcome of a message, if it is tracked.
func (t *Tracker) Settle(from message.URL, id message.ID, o hyperty.Outcome) {
	if t.count.Load() > 0 {
		t.settle(keyOf(from, id), o)
	}
}

func (t *Tracker) settle(k key, o hyperty.Outcome) {
	if one := t.drop(k); one != nil {
		one.tell(o)
	}
}

// End settles all messages of a sender that has gone: they are in doubt.
func (t *Tracker) End(sender message.URL) {
	if t.count.Load() == 0 {
		return
	}
	t.mu.Lock()
	var keys []key
	for k := range t.messages {
		if k.from.Within(sender) {
			keys = append(keys, k)
		}
	}
	t.mu.Unlock()
	for _, k := range keys {
		t.settle(k, hyperty.Outcome{State: hyperty.InDoubt, Reason: "its sender has been unregistered"})
	}
}

// Receipt returns the receipt that goes with a tracked message to a listener in this runtime; see [bus.Tracker].
func (t *Tracker) Receipt(from message.URL, id message.ID) minibus.Receipt {
	if one := t.Find(from, id); one != nil {
		return minibus.Receipt{By: one}
	}
	return minibus.Receipt{}
}

// Here is the receipt of a message of receipt r for a listener in this runtime; see [bus.Tracker].
func (t *Tracker) Here(r minibus.Receipt) minibus.Receipt {
	if r.By == nil {
		r.By = (*untracked)(t)
	}
	return r
}

// untracked takes the receipts of messages that are not tracked.
type untracked Tracker

// Settled is called when a listener has taken or refused the message; see [minibus.Taker].
func (t *untracked) Settled(uint64, uint32, int) {}

// Failed is called when the listener has gone; see [minibus.Taker].
func (t *untracked) Failed(_ uint64, _ uint32, m message.Message, why error) {
	if t.Refuse != nil {
		t.Refuse(m, why)
	}
}

// Tracked returns the tracked message of a receipt that [Tracker.Receipt] made; nil: the message is not tracked.
func Tracked(r minibus.Receipt) *Message {
	m, _ := r.By.(*Message)
	return m
}

// Refused is called for every response that this runtime gives to one of its own messages; see [bus.Tracker].
func (t *Tracker) Refused(m *message.Message, err error) { t.Settle(m.From, m.ID, refusedWith(err)) }

// Answered is called for every response that came through a Message Node's stub without a session; see [bus.Tracker]. It is the
// outcome of a message that left through that stub, if it comes from the address that the message was sent to.
func (t *Tracker) Answered(stub message.URL, m *message.Message) {
	if t.count.Load() == 0 || m.Provisional() {
		return
	}
	k := keyOf(m.To, m.ID)
	t.mu.Lock()
	one := t.messages[k]
	asked := one != nil && one.stub == stub && stub != "" && minibus.Answers(one.to, m.From)
	t.mu.Unlock()
	if !asked {
		return
	}
	if _, err := m.OK(); err != nil {
		t.settle(k, refusedWith(err))
		return
	}
	t.settle(k, hyperty.Outcome{State: hyperty.Delivered})
}

// Session reports the outcomes of messages from a session's event.
func (t *Tracker) Session(e session.Event) {
	o := outcomeOf(&e)
	for _, m := range e.Messages {
		t.Settle(m.From, m.ID, o)
	}
}

// Leaves notes that the message is about to leave by a stub without a session. It comes before the message leaves, since
// the answer may be quicker than the sending.
func (one *Message) Leaves(stub message.URL) {
	if one == nil {
		return
	}
	one.tracker.mu.Lock()
	defer one.tracker.mu.Unlock()
	one.stub = stub
}

// Left notes that the message has left without a session: only an answer within [AnswerTime] says what became of it.
func (one *Message) Left() {
	if one == nil {
		return
	}
	t := one.tracker
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.messages[one.key] != one || one.overdue != nil {
		return
	}
	one.overdue = time.AfterFunc(AnswerTime, func() {
		t.settle(one.key, hyperty.Outcome{State: hyperty.InDoubt, Reason: fmt.Sprintf("it went without a session, and nobody has answered within %v", AnswerTime)})
	})
}

// Settled is called when a listener in this runtime has taken or refused the message; see [minibus.Taker].
func (one *Message) Settled(_ uint64, _ uint32, code int) {
	one.tracker.settle(one.key, outcomeOfCode(code))
}

// Failed is called when the listener has gone; see [minibus.Taker].
func (one *Message) Failed(_ uint64, _ uint32, m message.Message, why error) {
	one.tracker.settle(one.key, refusedWith(why))
	if one.tracker.Refuse != nil {
		one.tracker.Refuse(m, why)
	}
}
