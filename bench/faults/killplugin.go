package main

import (
	"context"
	"math/rand/v2"
	"time"
)

// killPlugin kills a P2P plug-in, of one side and then of the other, while everything goes over it.
func killPlugin(ctx context.Context, b *bed) error {
	if err := b.start(ctx, b.use()...); err != nil {
		return err
	}
	b.flow(ctx)
	if err := b.direct(ctx, b.transport, time.Time{}, directTime); err != nil {
		return err
	}
	for i := range b.rounds {
		if err := b.calm(ctx, time.Second+rand.N(time.Second)); err != nil {
			return err
		}
		s := b.sides[i%2]
		running, err := b.plugin(ctx, s, b.transport)
		if err != nil {
			return err
		}
		victim := identify(running.PID)
		pause, killed := b.watch(), time.Now()
		if err := kill(victim.pid); err != nil {
			return err
		}
		if err := b.direct(ctx, b.transport, killed, 30*time.Second); err != nil {
			return err
		}
		recovered := time.Since(killed)
		if victim.alive() {
			b.result.fail("process %d is there %v after it was killed", victim.pid, recovered)
		}
		b.result.round(pause(), recovered)
		b.say("  %3d  %s's plug-in %d killed: pause %.0f ms, direct again after %.0f ms", i+1, s.Name, victim.pid, milliseconds(pause()), milliseconds(recovered))
	}
	b.result.atMost("pause p95", b.result.pauses, 0.95, time.Second)
	b.result.atMost("the longest time to a direct path", b.result.recoveries, 1, 10*time.Second)
	return nil
}
