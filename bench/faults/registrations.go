package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/bench/rig"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

const (
	registrars        = 16   // goroutines that register and unregister
	ownNames          = 16   // that each of them has
	firstPairs        = 2000 // before the first figures
	crowdSize         = 900  // hyperties at the same time, of the 1,024 that a runtime may have at its Message Node
	longRegistrations = 100_000
)

// fastNode lets one runtime ask a Message Node as fast as it can: with the default limits a pair takes 20 ms or more.
const fastNode = "limits: {requests: 1000000, address_requests: 1000000, writes: 1000000}\n"

// registrations has hyperties of alice's runtime register, send a message to bob's and unregister, again and again. Memory, disk and limits
// are where they were before.
func registrations(ctx context.Context, b *bed) error {
	b.nodeConfig = fastNode
	if err := b.start(ctx, b.use()...); err != nil {
		return err
	}
	r := &register{bed: b}
	if err := r.connect(ctx); err != nil {
		return err
	}
	defer r.close()
	g := &gauges{dir: b.house.Dir, node: b.node, runtimes: []*rig.Runtime{b.sides[0].Runtime, b.sides[1].Runtime}, brief: b.rounds < longRegistrations}
	quiet := 10 * time.Second
	if !g.brief { // addresses that are given up are remembered for 5 minutes
		quiet = 6 * time.Minute
	}
	b.say("  %v of quiet before the figures", quiet)
	var all [2]figures
	for i, pairs := range [2]int{firstPairs, b.rounds} {
		if err := errors.Join(r.pairs(ctx, pairs), r.crowd(ctx), wait(ctx, quiet)); err != nil {
			return err
		}
		f, err := g.measure(ctx)
		if err != nil {
			return err
		}
		all[i] = f
	}
	b.result.Rounds = b.rounds
	b.compareFigures(all[0], all[1])
	return nil
}

// register has the hyperties that register and unregister.
type register struct {
	*bed
	mu      sync.Mutex // guards the result
	to      message.URL
	clients []*hyperty.Client // one for each of the goroutines
}

func (r *register) connect(ctx context.Context) error {
	sink, err := r.sides[1].client.Register(ctx, hyperty.Registration{Name: "sink"})
	if err != nil {
		return err
	}
	sink.Handle(func(context.Context, hyperty.Received) {})
	r.to = sink.URL()
	for range registrars {
		c, err := hyperty.Dial(ctx, hyperty.Options{Socket: r.sides[0].Socket})
		if err != nil {
			return err
		}
		r.clients = append(r.clients, c)
	}
	return nil
}

func (r *register) close() {
	ctx, cancel := context.WithTimeout(context.Background(), settleTime)
	defer cancel()
	for _, c := range r.clients {
		if err := c.Close(ctx); err != nil {
			r.result.fail("%v", err)
		}
	}
}

// pairs registers and unregisters so many hyperties, several at the same time.
func (r *register) pairs(ctx context.Context, count int) error {
	began := time.Now()
	var next atomic.Int64
	return r.each(ctx, func(ctx context.Context, worker int) error {
		for {
			n := int(next.Add(1))
			if n > count {
				return nil
			}
			if err := r.pair(ctx, worker, n); err != nil {
				return fmt.Errorf("pair %d: %w", n, err)
			}
			if n%max(count/20, 1) == 0 {
				r.progress(n, time.Since(began))
			}
		}
	})
}

// each runs a job in each goroutine, and ends them all at the first error.
func (r *register) each(ctx context.Context, job func(ctx context.Context, worker int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for worker := range registrars {
		all.Go(func() {
			if err := job(ctx, worker); err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

func (r *register) progress(n int, took time.Duration) {
	node, err := resident(r.node.PID())
	if err != nil {
		return
	}
	alice, _ := resident(r.sides[0].PID())
	bob, _ := resident(r.sides[1].PID())
	r.say("  %8d pairs, %.0f a second; memory: node %.1f, alice's runtime %.1f, bob's %.1f MiB", n, float64(n)/took.Seconds(),
		mebibytes(node), mebibytes(alice), mebibytes(bob))
}

// pair is one hyperty from its registration to its end: in turn one without a name, one with a name, one that is ephemeral, and one
// that has a connection of its own, as that of a command has.
func (r *register) pair(ctx context.Context, worker, n int) (err error) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	client, wish := r.clients[worker], hyperty.Registration{}
	switch n % 4 {
	case 1:
		wish.Name = fmt.Sprintf("name-%d-%d", worker, n/4%ownNames)
	case 2:
		wish.Ephemeral = true
	case 3:
		if client, err = hyperty.Dial(ctx, hyperty.Options{Socket: r.sides[0].Socket}); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, client.Close(ctx)) }()
	}
	h, err := client.Register(ctx, wish)
	if err != nil {
		return err
	}
	d, err := h.SendTracked(ctx, r.to, message.Update, n)
	if err != nil {
		return errors.Join(err, h.Close(ctx))
	}
	o, err := d.Wait(ctx)
	r.count(o)
	return errors.Join(err, h.Close(ctx))
}

// count enters what became of a message.
func (r *register) count(o hyperty.Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Sent++
	if o.State == hyperty.Delivered {
		r.result.Delivered++
	} else {
		r.result.Lost++
		r.result.fail("a message is not delivered: %v", o)
	}
}

// crowd registers as many hyperties at the same time as the limits allow, and unregisters them.
func (r *register) crowd(ctx context.Context) error {
	return r.each(ctx, func(ctx context.Context, worker int) error {
		var all []*hyperty.Hyperty
		var errs []error
		for range crowdSize / registrars {
			h, err := r.clients[worker].Register(ctx, hyperty.Registration{})
			if err != nil {
				errs = append(errs, fmt.Errorf("with %d of %d: %w", len(all), crowdSize/registrars, err))
				break
			}
			all = append(all, h)
		}
		for _, h := range all {
			errs = append(errs, h.Close(ctx))
		}
		return errors.Join(errs...)
	})
}
