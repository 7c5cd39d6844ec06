package minibus

import (
	"context"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// Options are a MiniBus's settings. Only Out is required.
type Options struct {
	// Out carries what is posted to the outside: to the runtime's MessageBus. It may block.
	Out     func(ctx context.Context, m message.Message) error
	Inbox   int           // messages that wait for one listener; 0: [DefaultInbox]
	Timeout time.Duration // of a request; 0: [DefaultTimeout]
	// Last is the number after which messages without an ID are numbered. Two buses that post for one component at the same
	// time must begin at different numbers.
	Last uint64
}

// MiniBus is the bus inside a stub or an application. It implements [message.Bus].
type MiniBus struct {
	out       func(ctx context.Context, m message.Message) error
	listeners *Listeners
	requests  Requests
	own       message.URL // see Own
}

var (
	_ message.Bus = (*MiniBus)(nil)
	_ Receiver    = (*MiniBus)(nil)
)

// New makes a MiniBus. It must be closed.
func New(o Options) *MiniBus {
	return &MiniBus{out: o.Out, listeners: NewListeners(o.Inbox), requests: Requests{Timeout: o.Timeout, last: o.Last}}
}

// Own tells the bus its owner's address, before the first message comes. Responses to an address below it, to which nobody listens,
// go to the owner's listener: they say what became of a message that was posted from there.
func (b *MiniBus) Own(url message.URL) { b.own = url }

// Nobody tells whether no listener would get a message to an address below the owner's.
func (b *MiniBus) Nobody(at message.URL) bool {
	return at != b.own && at.Within(b.own) && !b.listeners.Has(at) && !b.listeners.Has(message.Default)
}

// Number gives m an ID if it has none.
func (b *MiniBus) Number(m *message.Message) { b.requests.Number(m) }

// NumberRequest gives m, which expects an answer, a random ID if it has none.
func (b *MiniBus) NumberRequest(m *message.Message) { b.requests.NumberRequest(m) }

// Post passes m to the outside; see [message.Bus].
func (b *MiniBus) Post(ctx context.Context, m message.Message) error {
	b.requests.Number(&m)
	if err := m.Check(); err != nil {
		return err
	}
	return b.out(ctx, m)
}

// Request posts m and waits for its response; see [message.Bus].
func (b *MiniBus) Request(ctx context.Context, m message.Message) (message.Message, error) {
	return b.requests.Do(ctx, m, b.Post, nil)
}

// RequestProgress is Request, with the provisional responses given to progress.
func (b *MiniBus) RequestProgress(ctx context.Context, m message.Message, progress func(message.Message)) (message.Message, error) {
	return b.requests.Do(ctx, m, b.Post, progress)
}

// Listen adds a listener; see [message.Bus]. The address [message.Default] is the default listener's.
func (b *MiniBus) Listen(at message.URL, h message.Handler) (stop func()) {
	return b.listeners.Listen(at, h)
}

// ListenTaking is [MiniBus.Listen] for a handler that settles the receipts itself.
func (b *MiniBus) ListenTaking(at message.URL, h TakingHandler) (stop func()) {
	return b.listeners.ListenTaking(at, h)
}

// Deliver gives the bus a message from outside. It waits while a listener's inbox is full. If nobody listens to its address,
// Deliver drops the message and returns false.
func (b *MiniBus) Deliver(ctx context.Context, m message.Message) (taken bool) {
	return b.Hand(ctx, m, Receipt{})
}

// Hand is Deliver with a receipt. If it returns false the receipt stays the caller's.
func (b *MiniBus) Hand(ctx context.Context, m message.Message, r Receipt) (taken bool) {
	if b.requests.Answer(m) {
		r.Taken()
		return true
	}
	n, err := b.listeners.Hand(ctx, m.To, m, r)
	if n == 0 && err == nil && m.Type == message.Response && b.own != "" && m.To.Within(b.own) {
		n, err = b.listeners.Hand(ctx, b.own, m, r)
	}
	if n == 0 && err == nil {
		n, _ = b.listeners.Hand(ctx, message.Default, m, r)
	}
	return n > 0
}

// TryHand is Hand without waiting. If it returns false it has done nothing: an inbox is full, or only the default listener
// may take m.
func (b *MiniBus) TryHand(m message.Message, r Receipt) (taken bool) {
	if b.requests.Answer(m) {
		r.Taken()
		return true
	}
	n, full := b.listeners.TryHand(m.To, m, r, nil)
	return n > 0 && !full
}

// TryHandRun is TryHand for messages one behind the other, all to one address, and either all responses or none. It returns
// how many of them, from the first, were taken.
func (b *MiniBus) TryHandRun(run []Delivery) (n int) {
	if len(run) > 0 && run[0].Message.Type != message.Response {
		return b.listeners.TryHandRun(run[0].Message.To, run)
	}
	for n < len(run) && b.TryHand(run[n].Message, run[n].Receipt) {
		n++
	}
	return n
}

// TryDeliver is Hand without waiting, for a message that is no response. n is how many listen; where an inbox is full,
// nothing is done and full is true. Where n is 0 the receipt stays the caller's.
func (b *MiniBus) TryDeliver(m message.Message, r Receipt) (n int, full bool) {
	if n, full = b.listeners.TryHand(m.To, m, r, nil); n == 0 && !full {
		n, full = b.listeners.TryHand(message.Default, m, r, nil)
	}
	return n, full
}

// Close ends every listener and request, and waits for the handlers that are running. It must not be called from a
// handler.
func (b *MiniBus) Close() {
	b.requests.Close()
	b.listeners.Close()
}
