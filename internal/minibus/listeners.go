package minibus

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/protofly/protofly/sdk/message"
)

// Listeners is the table of listeners by address. It is used by pointer, made by [NewListeners].
type Listeners struct {
	group *group
	limit int

	mu    sync.RWMutex
	at    map[message.URL][]*listener   // never changed in place: a reader keeps the slice without the lock
	above func(message.URL) message.URL // see Below; nil: none

	joined atomic.Uint64 // how often a listener was added
}

// Delivery is a message on its way to its listener, and the receipt that goes with it.
type Delivery struct {
	Message message.Message
	Receipt Receipt
}

// Receiver takes messages for a listener that has a queue of its own, such as a [MiniBus] in another part of the process.
type Receiver interface {
	// Hand takes m, and waits while there is no room. It returns false if there is no listener, or ctx has ended before there
	// was room: then the receipt stays the caller's.
	Hand(ctx context.Context, m message.Message, r Receipt) (taken bool)
	// TryHand is Hand without waiting. If it returns false it has done nothing, and the caller may call Hand.
	TryHand(m message.Message, r Receipt) (taken bool)
	// TryHandRun is TryHand for messages one behind the other, all to one address, and either all responses or none. It
	// returns how many of them, from the first, were taken.
	TryHandRun(run []Delivery) (n int)
}

// listener is one listener's inbox; where it has two, responses go to the second. A listener with a
// queue of its own has no inbox here.
type listener struct {
	messages, responses *inbox
	through             Receiver
	below               bool // takes messages to addresses below its own too
}

func (in *listener) box(m *message.Message) *inbox {
	if in.responses != nil && m.Type == message.Response {
		return in.responses
	}
	return in.messages
}

// push puts a message into the listener's inbox. It waits for a place; with atOnce it exceeds the limit
// instead of waiting.
func (in *listener) push(ctx context.Context, g *group, one *Delivery, atOnce bool) error {
	if in.through == nil {
		return in.box(&one.Message).push(ctx, one, atOnce)
	}
	if in.through.TryHand(one.Message, one.Receipt) {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(g.ctx, cancel)() // the bus of the listener may outlive this one
	if in.through.Hand(ctx, one.Message, one.Receipt) {
		return nil
	}
	if g.ctx.Err() == nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return ErrClosed
}

// try is push without waiting: if there is no place it does nothing, and full is true.
func (in *listener) try(one *Delivery) (full bool, err error) {
	if in.through == nil {
		return in.box(&one.Message).try(one)
	}
	return !in.through.TryHand(one.Message, one.Receipt), nil
}

// room tells whether a message would find a place. For a listener with a queue of its own the answer is unknown,
// and it is false.
func (in *listener) room(one *Delivery) bool {
	return in.through == nil && in.box(&one.Message).room(one)
}

func (in *listener) stop() {
	if in.through != nil {
		return
	}
	in.messages.stop()
	if in.responses != nil {
		in.responses.stop()
	}
}

// NewListeners makes an empty table whose inboxes hold limit messages each (0: [DefaultInbox]).
func NewListeners(limit int) *Listeners {
	if limit <= 0 {
		limit = DefaultInbox
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Listeners{group: &group{ctx: ctx, cancel: cancel}, limit: limit, at: map[message.URL][]*listener{}}
}

// Listen adds a listener; see [message.Bus].
func (l *Listeners) Listen(at message.URL, h message.Handler) (stop func()) {
	return l.add(at, &listener{messages: l.inbox(taking(h))})
}

// ListenTaking is Listen for a handler that settles the receipts itself.
func (l *Listeners) ListenTaking(at message.URL, h TakingHandler) (stop func()) {
	return l.add(at, &listener{messages: l.inbox(h)})
}

// ListenApart is ListenTaking with a second inbox for responses: they do not wait behind the messages that came before them,
// and h may be called for a response while it is handling a message. It is for a listener that passes messages on to an
// application that may be waiting for just that response.
func (l *Listeners) ListenApart(at message.URL, h TakingHandler) (stop func()) {
	return l.add(at, &listener{messages: l.inbox(h), responses: l.inbox(h), below: true})
}

// ListenThrough adds a listener that has a queue of its own: messages go there at once, and it decides what becomes of them
// when stop is called. See [Listeners.Below].
func (l *Listeners) ListenThrough(at message.URL, to Receiver) (stop func()) {
	return l.add(at, &listener{through: to, below: true})
}

// taking makes of h a handler that settles a receipt when h has returned.
func taking(h message.Handler) TakingHandler {
	return func(ctx context.Context, m message.Message, r Receipt) {
		h(ctx, m)
		r.Taken()
	}
}

func (l *Listeners) inbox(h TakingHandler) *inbox {
	in := &inbox{handle: h, limit: l.limit, group: l.group}
	in.lane.Memory = &l.group.memory
	in.locked().wait(0)
	return in
}

func (l *Listeners) add(at message.URL, in *listener) (stop func()) {
	at = at.Canonical()
	l.mu.Lock()
	l.at[at] = append(slices.Clip(l.at[at]), in)
	l.mu.Unlock()
	l.joined.Add(1)
	return func() {
		l.mu.Lock()
		rest := slices.DeleteFunc(slices.Clone(l.at[at]), func(other *listener) bool { return other == in })
		if len(rest) == 0 {
			delete(l.at, at)
		} else {
			l.at[at] = rest
		}
		l.mu.Unlock()
		in.stop()
	}
}

// Deliver puts m into the inbox of every listener of at and returns how many there are. It waits while an inbox is
// full. The error is ctx's.
func (l *Listeners) Deliver(ctx context.Context, at message.URL, m message.Message) (int, error) {
	return l.Hand(ctx, at, m, Receipt{})
}

// Hand is Deliver with a receipt, which the listeners settle; if there is no listener the receipt stays the caller's.
func (l *Listeners) Hand(ctx context.Context, at message.URL, m message.Message, r Receipt) (int, error) {
	return l.give(ctx, l.boxes(at), m, r, false)
}

// TryHand is Hand without waiting: if an inbox of at is full, it does nothing and full is true. If there are several inboxes,
// messages that come at the same moment may make one a little fuller than its limit. before, which may be nil, is called when
// it is certain that there is a listener with room, before the listener gets m.
func (l *Listeners) TryHand(at message.URL, m message.Message, r Receipt, before func()) (n int, full bool) {
	boxes := l.boxes(at)
	if len(boxes) == 1 && before == nil {
		full, err := boxes[0].try(&Delivery{m, r})
		if full || err != nil { // an error: it has stopped listening meanwhile
			return 0, full
		}
		return 1, false
	}
	for _, in := range boxes {
		if !in.room(&Delivery{m, r}) {
			return 0, true
		}
	}
	if len(boxes) == 0 {
		return 0, false
	}
	if before != nil {
		before()
	}
	n, _ = l.give(context.Background(), boxes, m, r, true)
	return n, false
}

// TryHandRun is TryHand for messages one behind the other, all to at, and either all responses or none. It returns how many
// of them, from the first, were taken; the others are as if TryHandRun had not been called. 0 may also mean that nobody
// listens.
func (l *Listeners) TryHandRun(at message.URL, run []Delivery) (n int) {
	boxes := l.boxes(at)
	if len(run) > 0 && len(boxes) == 1 {
		if to := boxes[0].through; to != nil {
			return to.TryHandRun(run)
		}
		return boxes[0].box(&run[0].Message).tryRun(run)
	}
	for n < len(run) {
		if taken, full := l.TryHand(at, run[n].Message, run[n].Receipt, nil); taken == 0 || full {
			break
		}
		n++
	}
	return n
}

func (l *Listeners) boxes(at message.URL) []*listener {
	at = at.Canonical()
	l.mu.RLock()
	boxes := l.at[at]
	if boxes == nil && l.above != nil {
		boxes = l.lockedBelow(at)
	}
	l.mu.RUnlock()
	return boxes
}

// Below has the listeners of ListenApart and ListenThrough get the messages to addresses below theirs too, where nobody listens to just
// these: above(at) is the address above at whose listener they are for, or at itself where there is none. It is called before the first
// message.
func (l *Listeners) Below(above func(at message.URL) message.URL) { l.above = above }

// give puts m into the inboxes.
func (l *Listeners) give(ctx context.Context, boxes []*listener, m message.Message, r Receipt, atOnce bool) (n int, err error) {
	if r.By == nil || len(boxes) == 1 {
		for _, in := range boxes {
			switch err := in.push(ctx, l.group, &Delivery{m, r}, atOnce); err {
			case nil:
				n++
			case ErrClosed: // it has stopped listening meanwhile
			default:
				return n, err
			}
		}
		return n, nil
	}
	all := &shared{of: r, left: 1} // one is for give itself: nothing is settled before all inboxes have the message
	for _, in := range boxes {
		all.mu.Lock()
		all.left++
		all.mu.Unlock()
		if err = in.push(ctx, l.group, &Delivery{m, Receipt{By: all, Source: r.Source}}, atOnce); err == nil {
			n++
			continue
		}
		all.done(0, message.Message{}, nil)
		if err != ErrClosed {
			break
		}
		err = nil
	}
	if n > 0 {
		all.done(0, message.Message{}, nil)
	}
	return n, err
}

// lockedBelow are the listeners that get the messages to at because they listen above it. mu is held.
func (l *Listeners) lockedBelow(at message.URL) []*listener {
	up := l.above(at)
	if up == at {
		return nil
	}
	boxes := l.at[up]
	for _, in := range boxes {
		if !in.below { // hardly ever: a component listens there too
			return slices.DeleteFunc(slices.Clone(boxes), func(in *listener) bool { return !in.below })
		}
	}
	return boxes
}

// Joined changes with each listener that is added: while it is the same, an address without a listener has none.
func (l *Listeners) Joined() uint64 { return l.joined.Load() }

// Has tells whether anybody listens to at.
func (l *Listeners) Has(at message.URL) bool { return len(l.boxes(at)) > 0 }

// Close ends every listener and waits for the handlers that are running; their context ends at once. It must not be
// called from a handler.
func (l *Listeners) Close() {
	l.group.cancel()
	l.mu.Lock()
	boxes := l.at
	l.at = map[message.URL][]*listener{}
	l.mu.Unlock()
	for _, list := range boxes {
		for _, in := range list {
			in.stop()
		}
	}
	l.group.wg.Wait()
}
