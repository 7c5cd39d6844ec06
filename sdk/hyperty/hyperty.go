package hyperty

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

	closing   sync.Once
	closeErr  error
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
	tracked   int                      // messages without a final state

	lastTo atomic.Pointer[message.URL] // an address that mayPost has checked lately
	misses atomic.Uint32               // how many addresses mayPost has checked
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

// Received is a message that came for a hyperty, and the way to answer it.
type Received struct {
	message.Message
	hyperty *Hyperty
}

// Value is the body's member "value", as the specification's types carry it; nil where there is none.
func (r Received) Value() json.RawMessage {
	var body struct {
		Value json.RawMessage `json:"value"`
	}
	if r.Decode(&body) != nil {
		return nil
	}
	return body.Value
}

// Text is the body's value where that is a string, else the JSON of the value, else of the body: for people.
func (r Received) Text() string {
	value := r.Value()
	var text string
	switch {
	case value == nil:
		return string(r.Body)
	case json.Unmarshal(value, &text) == nil:
		return text
	}
	return string(value)
}

// Answer answers the message with code 200 and a value, which may be nil. Whoever sent it without waiting finds the
// answer in [Hyperty.HandleResponses].
func (r Received) Answer(ctx context.Context, value any) error {
	var raw any
	if value != nil {
		encoded, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("answer to %s: the value is no JSON: %w", r.From, err)
		}
		raw = json.RawMessage(encoded)
	}
	return r.hyperty.bus.Post(ctx, r.Respond(message.CodeOK, raw))
}

// Refuse answers the message with a code of 300 or above and the reason.
func (r Received) Refuse(ctx context.Context, code int, reason string) error {
	return r.hyperty.bus.Post(ctx, r.Message.Refuse(code, "%s", reason))
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
	h.closing.Do(func() {
		objects := h.fail(ErrClosed)
		if objects != nil {
			objects.Close()
		}
		h.stop()
		if h.end != nil {
			h.closeErr = h.end(ctx)
		}
	})
	return h.closeErr
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
