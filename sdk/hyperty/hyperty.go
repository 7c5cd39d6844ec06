package hyperty

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// ErrClosed is the error of a hyperty that has been closed.
var ErrClosed = errors.New("the hyperty is closed")

// Hyperty is a registered service instance. Its methods may be called from any goroutine.
type Hyperty struct {
	bus          message.Bus
	url, runtime message.URL
	syncManager  message.URL // canonical
	end          func(ctx context.Context) error
	stop         func()
	log          hclog.Logger  // nil: none
	incoming     chan Received // without a buffer: the bus's inbox is one

	closing   ending
	done      chan struct{}
	handling  chan struct{} // closed by the first Handle
	mu        sync.Mutex
	why       error // why it is done
	handler   func(context.Context, Received)
	responses func(context.Context, message.Message)
	objects   *syncher.Syncher
	handlers  atomic.Pointer[handlers] // handler, responses and objects, for take
	listening bool                     // Handle or Receive has been called
	deaf      bool                     // neither was called while the first message waited: messages are refused
	given     given                    // messages that the application has
	tracked   slots                    // messages without a final state

	turn    turn
	checked checked
}

// ending is the end of a hyperty, which comes once.
type ending struct {
	once sync.Once
	err  error
}

// checked is what is known of addresses that were checked, to be posted to.
type checked struct {
	last  atomic.Pointer[message.URL] // one of lately
	count atomic.Uint32               // of all
}

// locked is a Hyperty whose mu is locked, or that nobody else has yet.
type locked Hyperty

// handlers are what take needs to know of a hyperty. They are one value, so that take reads them without the lock.
type handlers struct {
	handler   func(context.Context, Received)
	responses func(context.Context, message.Message)
	objects   bool
}

// publish gives take the handlers as they are now.
func (h *locked) publish() {
	h.handlers.Store(&handlers{h.handler, h.responses, h.objects != nil})
}

// URL is the hyperty's address.
func (h *Hyperty) URL() message.URL { return h.url }

// Runtime is the URL of the runtime that it runs in.
func (h *Hyperty) Runtime() message.URL { return h.runtime }

// Bus is the bus that the hyperty is made of, for what the methods here do not offer.
func (h *Hyperty) Bus() message.Bus { return h.bus }

// Objects is the hyperty's Reporter–Observer data objects. Until it has been called once, invitations to observe are
// refused with 404. Their changes come in one order with the hyperty's messages: a handler that does not return holds
// them up too.
func (h *Hyperty) Objects() *syncher.Syncher {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.objects == nil {
		h.objects = syncher.New(syncher.Options{Bus: h.bus, Owner: h.url, Runtime: h.runtime, Log: h.log})
		(*locked)(h).publish()
		if h.why != nil {
			h.objects.Close()
		}
	}
	return h.objects
}

// Close unregisters the hyperty and ends its handlers, data objects and requests. From another process than the
// runtime's it first waits until the runtime has taken what was posted; ctx bounds that, and the error tells what is
// left. It must not be called from a handler. Closing twice gives the first call's error.
func (h *Hyperty) Close(ctx context.Context) error {
	h.close(ctx, h.end)
	return h.closing.err
}

// Release is [Hyperty.Close], and gives the name up that the hyperty was registered with: when it returns nil, another runtime may
// register the name. Nobody else can give it up, and Close does not. The error says why the runtime keeps the name, if it does:
// while the Message Node is away it is a *message.ResponseError with code 504, and the name is given up when the node is back, if the
// runtime still runs then. A hyperty that is closed already gives [ErrClosed]; register the name once more to release it.
func (h *Hyperty) Release(ctx context.Context) error {
	r, ok := h.bus.(releasingBus)
	if !ok {
		return errors.New("release: this bus has no names to give up")
	}
	if !h.close(ctx, r.Release) {
		return ErrClosed
	}
	return h.closing.err
}

// close ends the hyperty, once: end is called where it is the first time.
func (h *Hyperty) close(ctx context.Context, end func(ctx context.Context) error) (first bool) {
	h.closing.once.Do(func() {
		first = true
		objects := h.fail(ErrClosed)
		if objects != nil {
			objects.Close()
		}
		h.next()
		h.stop()
		h.forsake()
		if end != nil {
			h.closing.err = end(ctx)
		}
		h.forsake() // what a handler that was running has deferred
	})
	return first
}

// fail marks the hyperty as done: Receive ends with why.
func (h *Hyperty) fail(why error) *syncher.Syncher {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.why == nil {
		h.why = why
		close(h.done)
	}
	return h.objects
}

// resume tells a runtime that has been restarted of the hyperty's data objects, until it has them all or ctx ends.
func (h *Hyperty) resume(ctx context.Context) {
	h.mu.Lock()
	objects := h.objects
	h.mu.Unlock()
	if objects == nil {
		return
	}
	var pauses backoff.Backoff
	for {
		err := objects.Resume(ctx)
		if err == nil || errors.Is(err, syncher.ErrClosed) || ctx.Err() != nil {
			return
		}
		pause := pauses.Next()
		if h.log != nil {
			h.log.Warn("data objects not resumed yet", "url", h.url, "error", err, "again", pause)
		}
		if !backoff.Sleep(ctx, pause) {
			return
		}
	}
}

// Err is nil while the hyperty is registered; else why it is not: [ErrClosed], or that its address was lost when the
// runtime restarted.
func (h *Hyperty) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.why
}
