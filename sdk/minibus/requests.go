package minibus

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// DefaultTimeout is how long a request waits for its response (specification, "Timeouts").
const DefaultTimeout = 15 * time.Second

// MaxRequests is how many requests of one bus may wait at the same time.
const MaxRequests = 1 << 16

// Requests is which response belongs to which request: by the requester's address and the ID. The zero value works.
type Requests struct {
	Timeout time.Duration // 0: [DefaultTimeout]

	last  uint64        // the number before the first
	given atomic.Uint64 // numbers

	mu      sync.Mutex
	waiting map[requestKey]chan message.Message
	closed  bool
}

type requestKey struct {
	from message.URL
	id   message.ID
}

// Number gives m an ID where it has none.
func (r *Requests) Number(m *message.Message) {
	if m.ID.IsZero() {
		m.ID = message.NumberID(r.last + r.given.Add(1))
	}
}

// Do registers m, has post send it, and waits for the final response; see [message.Bus]. progress, where it is not
// nil, gets the provisional ones.
func (r *Requests) Do(ctx context.Context, m message.Message, post func(context.Context, message.Message) error, progress func(message.Message)) (message.Message, error) {
	r.Number(&m)
	key := requestKey{m.From.Canonical(), m.ID.Key()}
	answers := make(chan message.Message, 16)
	if err := r.add(key, answers, m); err != nil {
		return message.Message{}, err
	}
	defer r.drop(key)
	if err := post(ctx, m); err != nil {
		return message.Message{}, err
	}
	timeout := r.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		select {
		case answer, ok := <-answers:
			if !ok {
				return message.Message{}, ErrClosed
			}
			if !answer.Provisional() {
				return answer, nil
			}
			timer.Reset(timeout)
			if progress != nil {
				progress(answer)
			}
		case <-timer.C:
			return m.Refuse(message.CodeTimeout, "no answer from %s within %v", m.To, timeout), nil
		case <-ctx.Done():
			return message.Message{}, ctx.Err()
		}
	}
}

func (r *Requests) add(key requestKey, answers chan message.Message, m message.Message) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch _, taken := r.waiting[key]; {
	case r.closed:
		return ErrClosed
	case taken:
		return fmt.Errorf("request %s of %s is still waiting for its response: use another id, or none", m.ID, m.From)
	case len(r.waiting) >= MaxRequests:
		return fmt.Errorf("%d requests are waiting for a response already", MaxRequests)
	case r.waiting == nil:
		r.waiting = map[requestKey]chan message.Message{}
	}
	r.waiting[key] = answers
	return nil
}

func (r *Requests) drop(key requestKey) {
	r.mu.Lock()
	delete(r.waiting, key)
	r.mu.Unlock()
}

// Answer gives a response to the request that waits for it, and tells whether there is one. Of a flood of provisional
// responses some may be dropped; the final one is not.
func (r *Requests) Answer(m message.Message) bool {
	if m.Type != message.Response {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := requestKey{m.To.Canonical(), m.ID.Key()}
	answers, ok := r.waiting[key]
	if !ok {
		return false
	}
	if m.Provisional() {
		if len(answers) < cap(answers)-1 {
			answers <- m
		}
		return true
	}
	delete(r.waiting, key) // the first final response is the answer
	answers <- m
	return true
}

// Close ends every waiting request with [ErrClosed].
func (r *Requests) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, answers := range r.waiting {
		close(answers)
	}
	r.waiting = nil
}
