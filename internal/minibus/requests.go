package minibus

import (
	"context"
	crand "crypto/rand"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// DefaultTimeout is how long a request waits for its response (specification, "Timeouts").
const DefaultTimeout = 15 * time.Second

// MaxRequests is how many requests of one bus may wait at the same time.
const MaxRequests = 1 << 16

// Requests finds the request that a response answers: by the requester's address, the ID, and the address that was asked, see
// [Answers]. The zero value works.
//
// A request without an ID gets a random one of 64 bits, which nobody can guess who has not seen the request. Messages that
// expect no answer are numbered: their IDs only tell them apart. In JSON a number is exact everywhere up to 2^53 only; so the
// part that sends a message to an implementation which reads numbers as floating-point ones gives it a shorter ID on the way,
// and the answer the original one.
type Requests struct {
	Timeout time.Duration // 0: [DefaultTimeout]

	last  uint64        // the number before the first
	given atomic.Uint64 // numbers

	mu      sync.Mutex
	waiting map[requestKey]asked
	random  *rand.ChaCha8 // of IDs; nil until one is needed
	closed  bool
}

type requestKey struct {
	from message.URL
	id   message.ID
}

// lockedRequests is a Requests whose mu is locked: methods that need that are methods of it.
type lockedRequests Requests

func (x *Requests) locked() *lockedRequests { return (*lockedRequests)(x) }

// asked is a request that waits.
type asked struct {
	whom    message.URL
	answers chan message.Message
}

// Number gives m, which expects no answer, an ID if it has none.
func (r *Requests) Number(m *message.Message) {
	if m.ID.IsZero() {
		m.ID = message.NumberID(r.last + r.given.Add(1))
	}
}

// NumberRequest gives m, which expects an answer, a random ID if it has none.
func (r *Requests) NumberRequest(m *message.Message) {
	if !m.ID.IsZero() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for m.ID.IsZero() {
		m.ID = r.locked().randomID()
	}
}

// randomID returns a random ID.
func (r *lockedRequests) randomID() message.ID {
	if r.random == nil {
		var seed [32]byte
		_, _ = crand.Read(seed[:]) // it cannot fail: it would end the process
		r.random = rand.NewChaCha8(seed)
	}
	return message.NumberID(r.random.Uint64())
}

// Do registers m, has post send it, and waits for the final response; see [message.Bus]. progress, if not nil, gets the
// provisional ones.
func (r *Requests) Do(ctx context.Context, m message.Message, post func(context.Context, message.Message) error, progress func(message.Message)) (message.Message, error) {
	r.NumberRequest(&m)
	key := requestKey{m.From.Canonical(), m.ID.Key()}
	answers := make(chan message.Message, 16)
	if err := r.add(key, asked{m.To, answers}, m); err != nil {
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

func (r *Requests) add(key requestKey, a asked, m message.Message) error {
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
		r.waiting = map[requestKey]asked{}
	}
	r.waiting[key] = a
	return nil
}

func (r *Requests) drop(key requestKey) {
	r.mu.Lock()
	delete(r.waiting, key)
	r.mu.Unlock()
}

// Answer gives a response to the request that waits for it, and tells whether there is one: a response from another address
// than the one that was asked answers none, whatever its ID, see [Answers]. Of a flood of provisional responses some may be
// dropped; the final one is not.
func (r *Requests) Answer(m message.Message) bool {
	if m.Type != message.Response {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := requestKey{m.To.Canonical(), m.ID.Key()}
	request, ok := r.waiting[key]
	if !ok || !Answers(request.whom, m.From) {
		return false
	}
	answers := request.answers
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
	for _, request := range r.waiting {
		close(request.answers)
	}
	r.waiting = nil
}
