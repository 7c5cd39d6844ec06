package main

import (
	"context"
	"fmt"
	"time"

	"github.com/protofly/protofly/examples/bench/load"
)

// pair is a contender that runs: who drives, who answers, and whom else they need.
type pair struct {
	name             string
	sender, receiver *load.Process
	others           []*load.Process // ended last
	more             []int           // further processes that count, which are somebody else's to end
}

// contender starts a pair.
type contender struct {
	name  string
	start func(ctx context.Context, p *pair) error
}

// begin starts it. Where that fails nothing is left.
func (c contender) begin(ctx context.Context) (*pair, error) {
	p := &pair{name: c.name}
	if err := c.start(ctx, p); err != nil {
		p.stop()
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	return p, nil
}

func (p *pair) processes() (list []*load.Process) {
	for _, c := range append([]*load.Process{p.sender, p.receiver}, p.others...) {
		if c != nil {
			list = append(list, c)
		}
	}
	return list
}

func (p *pair) stop() {
	for _, c := range p.processes() {
		c.Stop()
	}
}

func libp2pContender() contender {
	return contender{"go-libp2p", func(ctx context.Context, p *pair) (err error) {
		if p.receiver, err = load.Start(ctx, "libp2p receiver", "role", "libp2p-receiver"); err != nil {
			return err
		}
		p.sender, err = load.Start(ctx, "libp2p sender", "role", "libp2p-sender", p.receiver.Addr)
		return err
	}}
}

func natsContender() contender {
	return contender{"NATS", func(ctx context.Context, p *pair) error {
		s, err := load.Start(ctx, "NATS server", "role", "nats-server")
		if err != nil {
			return err
		}
		p.others = append(p.others, s)
		if p.receiver, err = load.Start(ctx, "NATS receiver", "role", "nats-receiver", s.Addr); err != nil {
			return err
		}
		p.sender, err = load.Start(ctx, "NATS sender", "role", "nats-sender", s.Addr)
		return err
	}}
}

// used is what a pair has used.
type used struct {
	cpu            time.Duration // of all processes
	sent, received uint64        // allocations of the processes with the applications
	peak           uint64        // bytes resident, of all processes together
}

func (p *pair) usage(ctx context.Context) (u used, err error) {
	pids := append([]int(nil), p.more...)
	for _, c := range p.processes() {
		one, err := c.Usage(ctx)
		if err != nil {
			return u, err
		}
		pids = append(pids, one.PIDs...)
		switch c {
		case p.sender:
			u.sent = one.Mallocs
		case p.receiver:
			u.received = one.Mallocs
		}
	}
	for _, pid := range pids {
		cpu, err := load.CPU(pid)
		if err != nil {
			return u, err
		}
		_, peak, err := load.Memory(pid)
		if err != nil {
			return u, err
		}
		u.cpu += cpu
		u.peak += peak
	}
	return u, nil
}

// sample is one round of one contender.
type sample struct{ rate, p50, p99, cpu, sendAllocs, receiveAllocs float64 }

// answerTime is how much longer than the work itself a command may take.
const answerTime = time.Minute

// do has the pair do a piece of work once.
func (p *pair) do(ctx context.Context, c load.Command) (s sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.For+answerTime)
	defer cancel()
	before, err := p.usage(ctx)
	if err != nil {
		return s, err
	}
	r, err := p.sender.Do(ctx, c)
	if err != nil {
		return s, err
	}
	after, err := p.usage(ctx)
	if err != nil {
		return s, err
	}
	n := float64(r.Messages)
	return sample{
		rate: n / r.Seconds, p50: r.P50, p99: r.P99, cpu: (after.cpu - before.cpu).Seconds() / n * 1e6,
		sendAllocs: float64(after.sent-before.sent) / n, receiveAllocs: float64(after.received-before.received) / n,
	}, nil
}
