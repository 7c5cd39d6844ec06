package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/sdk/message"
)

// killRuntime kills bob's runtime and starts it again. Bob's application lives on, and is registered again by itself.
func killRuntime(ctx context.Context, b *bed) error {
	if err := b.start(ctx, b.use()...); err != nil {
		return err
	}
	for _, f := range b.flows {
		f.tracked, f.mayRefuse = true, true // 404: bob's runtime is there before his application
	}
	b.flow(ctx)
	alice, bob := b.sides[0], b.sides[1]
	for i := range b.rounds {
		if b.transport != relay {
			if err := b.direct(ctx, b.transport, time.Time{}, 2*time.Minute); err != nil {
				return err
			}
		}
		if err := b.calm(ctx, time.Second+rand.N(time.Second)); err != nil {
			return err
		}
		before, err := alice.resets(ctx, bob.URL)
		if err != nil {
			return err
		}
		pause := b.watch()
		bob.Kill()
		posted := [2]uint64{b.flows[0].posts(), b.flows[1].posts()}
		if err := wait(ctx, 500*time.Millisecond); err != nil {
			return err
		}
		back := time.Now()
		if err := bob.Start(ctx); err != nil {
			return err
		}
		b.flows[1].incarnation.Add(1)
		err = b.until(ctx, "alice's report of a reset", 30*time.Second, func(self int, st api.Status) bool {
			return self == 1 || resets(st, bob.URL) > before
		})
		if err != nil {
			return err
		}
		if err := b.accounted(ctx, posted, 30*time.Second); err != nil {
			return err
		}
		reported := time.Since(back)
		if err := b.next(ctx, 30*time.Second); err != nil {
			return err
		}
		b.result.round(pause(), reported)
		b.say("  %3d  bob's runtime killed: reset and what is in doubt reported %.0f ms after its return, pause %.0f ms", i+1, milliseconds(reported), milliseconds(pause()))
	}
	b.result.atMost("the longest time from the return to the report", b.result.recoveries, 1, 5*time.Second)
	return nil
}

// accounted waits until each of the first messages of each flow has come or was reported to its sender.
func (b *bed) accounted(ctx context.Context, first [2]uint64, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		missing := b.flows[0].missing(first[0]) + b.flows[1].missing(first[1])
		if missing == 0 {
			return nil
		}
		if wait(ctx, lookPause) != nil {
			return fmt.Errorf("of the messages of before the kill %d have neither come nor been reported: %w, within %v", missing, errLate, limit)
		}
	}
}

// resets is how often the side's runtime has seen the other start again.
func (s *side) resets(ctx context.Context, remote message.URL) (uint64, error) {
	st, err := s.ask(ctx)
	return resets(st, remote), err
}

func resets(st api.Status, remote message.URL) uint64 {
	for _, one := range st.Sessions {
		if one.Remote == remote {
			return one.Resets
		}
	}
	return 0
}
