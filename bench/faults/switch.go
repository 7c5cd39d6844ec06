package main

import (
	"context"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// switchTime is how long each way is used.
const switchTime = 200 * time.Millisecond

// switchWays makes alice's runtime use another way every 200 ms: the relay, QUIC, WebRTC, and again. A connection is set up
// anew each time, and messages use the relay until it is live.
func switchWays(ctx context.Context, b *bed) error {
	b.policies = [2]string{"commanded", "never"}
	if err := b.start(ctx, "quic", "webrtc"); err != nil {
		return err
	}
	b.flow(ctx)
	if err := b.next(ctx, directTime); err != nil {
		return err
	}
	alice, bob := b.sides[0], b.sides[1]
	commands := alice.app.Runtime().Join("registry")
	if err := b.calm(ctx, 2*time.Second); err != nil {
		return err
	}
	wished, reached := 0, 0
	next := time.NewTicker(switchTime)
	defer next.Stop()
	for i := range b.rounds {
		way := [...]string{relay, "quic", "webrtc"}[i%3]
		pause, told := b.watch(), time.Now()
		if _, err := alice.app.Request(ctx, commands, message.Execute, map[string]any{"method": "use", "params": []string{string(bob.URL), way}}); err != nil {
			return err
		}
		live := time.Duration(0)
		for waiting := true; waiting; {
			select {
			case <-next.C:
				waiting = false
			case <-time.After(lookPause):
				if st, err := alice.ask(ctx); err == nil && live == 0 && way != relay && isDirect(st, bob.URL, way, told) {
					live = time.Since(told)
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		b.result.round(pause(), live)
		if way != relay {
			wished++
			if live > 0 {
				reached++
			}
		}
	}
	b.say("  %d of %d set-ups were live within %v; pause p99 %.0f ms", reached, wished, switchTime, milliseconds(quantile(b.result.pauses, 0.99)))
	if reached < wished/2 {
		b.result.late("only %d of %d set-ups were live within %v", reached, wished, switchTime)
	}
	b.result.pauseP99(100 * time.Millisecond)
	return nil
}
