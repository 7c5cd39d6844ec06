package minibus

import (
	"context"
	"slices"
	"sync"

	"github.com/protofly/protofly/sdk/message"
)

// Listeners is who listens to which address. It is used by pointer, made by [NewListeners].
type Listeners struct {
	group *group
	limit int

	mu sync.RWMutex
	at map[message.URL][]*listener // never changed in place: a reader keeps the slice without the lock
}

// listener is one listener's inbox; where it has two, responses go to the second.
type listener struct{ messages, responses *inbox }

func (in *listener) box(m *message.Message) *inbox {
	if in.responses != nil && m.Type == message.Response {
		return in.responses
	}
	return in.messages
}

func (in *listener) stop() {
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
	return l.add(at, &listener{messages: l.inbox(h)})
}

// ListenApart is Listen with an inbox of their own for responses: they do not wait behind the messages that came
// before them, and h may be called for a response while it is handling a message. It is for a listener that passes
// messages on to somebody who may be waiting for just that response.
func (l *Listeners) ListenApart(at message.URL, h message.Handler) (stop func()) {
	return l.add(at, &listener{messages: l.inbox(h), responses: l.inbox(h)})
}

func (l *Listeners) inbox(h message.Handler) *inbox {
	return &inbox{handle: h, limit: l.limit, group: l.group}
}

func (l *Listeners) add(at message.URL, in *listener) (stop func()) {
	at = at.Canonical()
	l.mu.Lock()
	l.at[at] = append(slices.Clip(l.at[at]), in)
	l.mu.Unlock()
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
	at = at.Canonical()
	l.mu.RLock()
	boxes := l.at[at]
	l.mu.RUnlock()
	n := 0
	for _, in := range boxes {
		switch err := in.box(&m).push(ctx, m); err {
		case nil:
			n++
		case ErrClosed: // it stopped listening meanwhile
		default:
			return n, err
		}
	}
	return n, nil
}

// Has tells whether anybody listens to at.
func (l *Listeners) Has(at message.URL) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.at[at.Canonical()]) > 0
}

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
