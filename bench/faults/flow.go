package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// flow is a stream of messages from one application to another.
type flow struct {
	*ledger
	from        *hyperty.Hyperty
	to          message.URL
	rate        int // messages a second
	padding     string
	patience    time.Duration // how long the post of one message may wait for room; 0: sendTimeout, and an error ends the flow
	incarnation atomic.Uint64
	tracked     bool // messages are tracked

	stop context.CancelFunc
	wg   sync.WaitGroup
	err  error // after wg

	outcomes sync.WaitGroup // goroutines that wait for an outcome
}

const (
	sendTick    = 2 * time.Millisecond
	sendTimeout = time.Minute // time-out of one post
	maxDebt     = 100 * time.Millisecond
	longPost    = 100 * time.Millisecond // a post that takes longer counts as one that had to wait
)

// newFlow makes the stream. The receiver's messages and the responses to the sender go to its ledger.
func newFlow(from, to *hyperty.Hyperty, rate, padding int) *flow {
	f := &flow{ledger: &ledger{sender: string(from.URL()), arrived: time.Now()}, from: from, to: to.URL(), rate: rate, padding: strings.Repeat("p", padding)}
	f.incarnation.Store(1)
	to.Handle(f.take)
	from.HandleResponses(func(ctx context.Context, m message.Message) {
		if m.From.Canonical() == f.to.Canonical() { // others are late answers to other requests of the application
			f.reported(ctx, m)
		}
	})
	return f
}

// start begins to send, until stop or ctx ends it.
func (f *flow) start(ctx context.Context) {
	ctx, f.stop = context.WithCancel(ctx)
	f.wg.Go(func() { f.err = f.send(ctx) })
}

// send sends at the rate. After a long wait for room it does not catch up, which would be another rate.
func (f *flow) send(ctx context.Context) error {
	tick := time.NewTicker(sendTick)
	defer tick.Stop()
	began, n := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if debt := time.Since(began) - f.over(n); debt > maxDebt {
			began = began.Add(debt - sendTick)
		}
		for ; f.over(n) <= time.Since(began) && ctx.Err() == nil; n++ {
			if err := f.post(ctx); err != nil {
				return err
			}
		}
	}
}

// over returns the time that n messages take at the rate.
func (f *flow) over(n int) time.Duration {
	return time.Duration(n) * time.Second / time.Duration(f.rate)
}

// post sends the next message. It does not give up a message that it has begun, since its number would be missing.
func (f *flow) post(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(f.patience, sendTimeout))
	defer cancel()
	began := time.Now()
	f.mu.Lock()
	f.sent++
	e := entry{Sender: f.sender, Incarnation: f.incarnation.Load(), Number: f.sent, Padding: f.padding}
	if f.posted != nil {
		f.posted[e.Number] = began
	}
	f.mu.Unlock()
	m := message.Message{ID: message.NumberID(e.Number), Type: message.Update, To: f.to, Body: e.seal()}
	err := f.give(ctx, m, e.Number)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil || time.Since(began) > longPost {
		f.waited++
	}
	switch {
	case err == nil:
		return nil
	case f.patience == 0:
		return fmt.Errorf("message %d from %s: %w", e.Number, f.sender, err)
	}
	// The sender got the error, and goes on with the next message.
	if f.refused.add(e.Number) {
		f.refusals++
	}
	return nil
}

// give posts a message. If the flow is tracked, its outcome goes to the ledger; the number of messages that are tracked at one time is
// limited.
func (f *flow) give(ctx context.Context, m message.Message, n uint64) error {
	if !f.tracked {
		return f.from.Post(ctx, m)
	}
	d, err := f.from.Track(ctx, m)
	if errors.Is(err, hyperty.ErrTooManyTracked) {
		return f.from.Post(ctx, m)
	} else if err != nil {
		return err
	}
	f.outcomes.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), settleTime)
		defer cancel()
		o, err := d.Wait(ctx)
		f.learn(n, o, err)
	})
	return nil
}

// heldUp returns how many messages had to wait for room, with those that got none.
func (f *flow) heldUp() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.waited
}

// end stops sending, and waits for patience until every message has come or is in doubt.
func (f *flow) end(ctx context.Context, patience time.Duration) error {
	f.stop()
	f.wg.Wait()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for !f.settled() {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return f.err // the ledger says what is missing
		}
	}
	f.outcomes.Wait()
	// Time for duplicates to come.
	select {
	case <-time.After(300 * time.Millisecond):
	case <-ctx.Done():
	}
	return f.err
}

// enter adds the ledger of the flow to a result.
func (f *flow) enter(r *result) {
	r.Lost += f.lost()
	f.mu.Lock()
	defer f.mu.Unlock()
	r.Sent += f.sent
	r.Delivered += f.delivered
	r.Duplicated += f.duplicated
	r.OutOfOrder += f.outOfOrder
	r.Corrupt += f.corrupt
	r.InDoubt += f.doubts
	if f.mayRefuse { // else they are lost
		r.Refused += f.refusals
	}
	if f.tracked {
		r.Claimed += f.claims()
	}
	for _, n := range f.notes {
		r.fail("%s", n)
	}
}

var errLate = errors.New("not in time")
