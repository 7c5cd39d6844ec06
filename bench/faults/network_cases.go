package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// inNetwork starts everything in a network of its own and waits for the direct connection.
func (b *bed) inNetwork(ctx context.Context) (err error) {
	if b.net, err = newNetwork(ctx); err != nil {
		return err
	}
	if err := b.start(ctx, b.use()...); err != nil {
		return err
	}
	b.flow(ctx)
	return b.direct(ctx, b.transport, time.Time{}, directTime)
}

// blackhole makes the direct path drop everything, while both ends stay as they are.
func blackhole(ctx context.Context, b *bed) error {
	if err := b.inNetwork(ctx); err != nil {
		return err
	}
	for i := range b.rounds {
		if err := b.calm(ctx, time.Second+rand.N(time.Second)); err != nil {
			return err
		}
		pause := b.watch()
		if err := b.net.drop(ctx, 100); err != nil {
			return err
		}
		if err := wait(ctx, 8*time.Second); err != nil { // longer than it may take to notice
			return err
		}
		held, open := pause(), time.Now()
		if err := b.net.drop(ctx, 0); err != nil {
			return err
		}
		if err := b.direct(ctx, b.transport, open, 2*time.Minute); err != nil {
			return err
		}
		recovered := time.Since(open)
		b.result.round(held, recovered)
		b.say("  %3d  black hole: pause %.0f ms, direct again %.0f ms after its end", i+1, milliseconds(held), milliseconds(recovered))
	}
	b.result.atMost("the longest pause", b.result.pauses, 1, 6500*time.Millisecond)
	return nil
}

// losses are the percentages of lost datagrams, one after the other, in each round.
var losses = []int{1, 5, 20}

const lossTime = 10 * time.Second

// loss makes the direct path lose datagrams, both ways.
func loss(ctx context.Context, b *bed) error {
	if err := b.inNetwork(ctx); err != nil {
		return err
	}
	for i := range b.rounds {
		percent := losses[i%len(losses)]
		before, pause := b.delivered(), b.watch()
		if err := b.net.drop(ctx, percent); err != nil {
			return err
		}
		if err := wait(ctx, lossTime); err != nil {
			return err
		}
		held, flowed, end := pause(), b.delivered()-before, time.Now()
		if err := b.net.drop(ctx, 0); err != nil {
			return err
		}
		if err := b.direct(ctx, b.transport, time.Time{}, 2*time.Minute); err != nil {
			return fmt.Errorf("after a loss of %d %%: %w", percent, err)
		}
		b.result.round(held, time.Since(end))
		b.say("  %3d  %2d %% lost: %d messages in %v, pause %.0f ms", i+1, percent, flowed, lossTime, milliseconds(held))
	}
	return nil
}

// delivered is how many messages have come so far, both ways.
func (b *bed) delivered() (n uint64) {
	for _, f := range b.all() {
		n += f.read()
	}
	return n
}
