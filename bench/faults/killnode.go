package main

import (
	"context"
	"math/rand/v2"
	"time"
)

// killNode kills the Message Node and starts it again.
func killNode(ctx context.Context, b *bed) error {
	if err := b.start(ctx, b.use()...); err != nil {
		return err
	}
	b.flow(ctx)
	if b.transport != relay {
		if err := b.direct(ctx, b.transport, time.Time{}, directTime); err != nil {
			return err
		}
	}
	for i := range b.rounds {
		if err := b.calm(ctx, time.Second+rand.N(time.Second)); err != nil {
			return err
		}
		pause := b.watch()
		b.node.Kill()
		if err := wait(ctx, time.Second+rand.N(2*time.Second)); err != nil {
			return err
		}
		held := pause()
		if err := b.node.Start(ctx); err != nil {
			return err
		}
		back := time.Now()
		if b.transport == relay {
			pause = b.watch()
		}
		if err := b.next(ctx, 20*time.Second); err != nil {
			return err
		}
		recovered := time.Since(back)
		if b.transport != relay { // the runtimes' return to the node must not disturb direct messages
			if err := wait(ctx, 2*time.Second); err != nil {
				return err
			}
			held, recovered = pause(), 0
		}
		b.result.round(held, recovered)
		b.say("  %3d  node killed: pause %.0f ms, flowing %.0f ms after its return", i+1, milliseconds(held), milliseconds(recovered))
	}
	if b.transport == relay {
		b.result.atMost("the longest time to flow after the node's return", b.result.recoveries, 1, 3*time.Second)
	} else {
		b.result.atMost("the longest pause", b.result.pauses, 1, 100*time.Millisecond)
	}
	return nil
}
