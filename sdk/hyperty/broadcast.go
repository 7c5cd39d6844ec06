package hyperty

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/protofly/protofly/sdk/message"
)

// MaxBroadcast is how many addresses one [Hyperty.Broadcast] may have.
const MaxBroadcast = 1 << 16

// broadcastAtOnce is how many messages of one Broadcast may be without a final state at the same time. The other half of [MaxTracked] is
// for messages that are tracked meanwhile.
const broadcastAtOnce = MaxTracked / 2

// BroadcastResult is what became of the message to one address of a [Hyperty.Broadcast].
type BroadcastResult struct {
	To      message.URL
	Outcome Outcome // Queued where the context ended first; Refused where it was not posted
	// Err is nil where the message was delivered. Where it was not, it is a *[NotDelivered]; where it was not posted, the error of
	// [Hyperty.SendTracked]; where it is queued still, the context's.
	Err error
}

// Broadcast sends body to each address of a list, and waits for what becomes of each message. The results are in the order of the list,
// whose addresses may be repeated. A message to each is posted and tracked as by [Hyperty.SendTracked], so each receiver has it in
// order with the caller's other messages; between receivers there is no order. At most 512 messages are under way at a time. One that is
// slow or gone takes one of these places, and holds nobody else up. Where ctx ends, Broadcast returns at once, and what is under way goes on.
//
// The error is nil where each message has a final state, whichever. It is ctx's where it has ended before; then there are results all the
// same. With every other error nothing was posted and there are no results: the list is longer than [MaxBroadcast], or the message could
// not be read by anybody.
func (h *Hyperty) Broadcast(ctx context.Context, to []message.URL, t message.Type, body any) ([]BroadcastResult, error) {
	if len(to) > MaxBroadcast {
		return nil, fmt.Errorf("broadcast: %d addresses, at most %d are allowed", len(to), MaxBroadcast)
	}
	raw, err := encodeBody(body)
	if err == nil {
		sample := message.Message{Type: t, From: h.url, To: h.url, Body: raw}
		err = sample.Check()
	}
	if err == nil {
		err = h.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("broadcast to %d addresses: %w", len(to), err)
	}
	results := make([]BroadcastResult, len(to))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(len(to), broadcastAtOnce) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(to)); i = next.Add(1) - 1 {
				results[i] = h.one(ctx, message.Message{Type: t, To: to[i], Body: raw})
			}
		})
	}
	wg.Wait()
	for i := range results {
		if results[i].Outcome.State == Queued || ctx.Err() != nil && errors.Is(results[i].Err, ctx.Err()) {
			return results, ctx.Err()
		}
	}
	return results, nil
}

// one sends the message to one address of a Broadcast.
func (h *Hyperty) one(ctx context.Context, m message.Message) BroadcastResult {
	r := BroadcastResult{To: m.To}
	d, err := h.track(ctx, m, h.await)
	if err == nil {
		r.Outcome, r.Err = d.Wait(ctx)
	} else {
		r.Outcome, r.Err = Outcome{State: Refused, Reason: message.Reason(err)}, err
		if known := (*message.ResponseError)(nil); errors.As(err, &known) {
			r.Outcome.Code = known.Code
		}
	}
	if r.Err == nil {
		r.Err = r.Outcome.Err()
	}
	return r
}

// slots count the messages of a hyperty that are tracked and have no final state.
type slots struct {
	used  int
	freed chan struct{} // closed when one is free; nil while nobody waits for that
}

// take takes a slot, where there is one.
func (s *slots) take() bool {
	if s.used >= MaxTracked {
		return false
	}
	s.used++
	return true
}

// give gives a slot back.
func (s *slots) give() {
	s.used--
	if s.freed != nil {
		close(s.freed)
		s.freed = nil
	}
}

// wait is closed when a slot may be free.
func (s *slots) wait() <-chan struct{} {
	if s.freed == nil {
		s.freed = make(chan struct{})
	}
	return s.freed
}

// reserve takes a slot for a message that is tracked. The error is [ErrTooManyTracked].
func (h *Hyperty) reserve(context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.tracked.take() {
		return ErrTooManyTracked
	}
	return nil
}

// await is reserve that waits for a slot. The error is ctx's or the hyperty's.
func (h *Hyperty) await(ctx context.Context) error {
	for ctx.Err() == nil {
		h.mu.Lock()
		ok, freed := h.tracked.take(), (<-chan struct{})(nil)
		if !ok {
			freed = h.tracked.wait()
		}
		h.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-freed:
		case <-h.done:
			return h.Err()
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}
