package main

import (
	"context"
	"fmt"
	"time"

	"github.com/protofly/protofly/examples/bench/figures"
	"github.com/protofly/protofly/examples/bench/load"
)

// contest is ours beside what it is compared with, over one transport.
type contest struct {
	transport string
	starters  []starter // ours, then the baseline, then others that are only shown
	sizes     []int
	bounds    map[string][]figures.Bound // by row and size, "one-way/1024", or the row alone
	relay     bool                       // the node does a part of ours
	rate      int                        // of the paced round trips; 0: none
}

// sample is one round of one contender.
type sample struct{ rate, p50, p99, cpu, sendAllocs, recvAllocs float64 }

// series are the samples of one contender at one task.
type series []sample

func (s series) median(of func(sample) float64) float64 {
	list := make([]float64, len(s))
	for i := range s {
		list[i] = of(s[i])
	}
	return figures.Median(list)
}

// task is one kind of work at one size.
type task struct {
	row     string
	size    int
	command load.Command
}

const (
	oneWay     = "one-way"
	roundTrip  = "round trip"
	underLoad  = "round trip under load"
	cpuRow     = "CPU"
	sendRow    = "allocations sending"
	receiveRow = "allocations receiving"
	peakRow    = "peak memory"
)

// tasks are what is asked of the contenders of a contest.
func (b *bench) tasks(c contest) (list []task) {
	for _, size := range c.sizes {
		if b.wants(oneWay, c.transport, size) {
			list = append(list, task{oneWay, size, load.Command{Do: "stream", Size: size, For: b.length}})
		}
	}
	if b.wants(roundTrip, c.transport, smallest) {
		list = append(list, task{roundTrip, smallest, load.Command{Do: "trips", Size: smallest, For: b.length}})
	}
	if c.rate > 0 && b.wants(underLoad, c.transport, smallest) {
		list = append(list, task{underLoad, smallest, load.Command{Do: "paced", Size: smallest, Rate: c.rate, For: b.length}})
	}
	return list
}

// run holds the contest: the contenders take turns, task by task, for several rounds.
func (c contest) run(ctx context.Context, b *bench) ([]figures.Row, error) {
	tasks := b.tasks(c)
	if len(tasks) == 0 {
		return nil, nil
	}
	var pairs []*pair
	defer func() {
		for _, p := range pairs {
			p.stop()
		}
	}()
	for _, s := range c.starters {
		p, err := s.begin(ctx)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, p)
	}
	var rows []figures.Row
	for _, t := range tasks {
		all := make([]series, len(pairs))
		for round := range b.rounds + 1 {
			for i, p := range pairs {
				s, err := c.sample(ctx, b, p, t)
				if err != nil {
					return rows, fmt.Errorf("%s, %s of %d bytes: %w", p.name, t.row, t.size, err)
				}
				if round > 0 { // the first is to warm up
					all[i] = append(all[i], s)
				}
			}
		}
		more := c.rows(t, pairs, all)
		for _, r := range more {
			b.progress(r)
		}
		rows = append(rows, more...)
	}
	more, err := c.peaks(ctx, b, pairs)
	return append(rows, more...), err
}

func (c contest) sample(ctx context.Context, b *bench, p *pair, t task) (s sample, err error) {
	var node []int
	if c.relay && (p.name == ours || p.name == oursSocket) {
		node = append(node, b.node.PID())
	}
	before, err := p.usage(ctx, node...)
	if err != nil {
		return s, err
	}
	limit, cancel := context.WithTimeout(ctx, t.command.For+time.Minute)
	defer cancel()
	r, err := p.sender.Do(limit, t.command)
	if err != nil {
		return s, err
	}
	after, err := p.usage(ctx, node...)
	if err != nil {
		return s, err
	}
	n := float64(r.Messages)
	return sample{
		rate: n / r.Seconds, p50: r.P50, p99: r.P99, cpu: (after.cpu - before.cpu).Seconds() / n * 1e6,
		sendAllocs: float64(after.sent-before.sent) / n, recvAllocs: float64(after.received-before.received) / n,
	}, nil
}

// rows are a task's figures: ours beside the baseline, and the other contenders' beside it too.
func (c contest) rows(t task, pairs []*pair, all []series) (rows []figures.Row) {
	add := func(row, metric string, of func(sample) float64, compared bool) {
		base := all[1].median(of)
		for i, p := range pairs {
			if i == 1 {
				continue
			}
			r := figures.Row{Row: row, Transport: c.transport, Size: t.size, Metric: metric, Ours: all[i].median(of)}
			if compared {
				r.Baseline, r.BaselineValue = pairs[1].name, base
			}
			var bounds []figures.Bound
			if i == 0 {
				bounds = append(c.bounds[fmt.Sprintf("%s/%d", row, t.size)], c.bounds[row]...)
			} else {
				r.Row += " (" + p.name + ")"
			}
			rows = append(rows, r.Judge(bounds...))
		}
	}
	switch t.row {
	case oneWay:
		add(oneWay, "messages/s", func(s sample) float64 { return s.rate }, true)
		add(cpuRow, "s a million messages", func(s sample) float64 { return s.cpu }, true)
		add(sendRow, "a message", func(s sample) float64 { return s.sendAllocs }, true)
		add(receiveRow, "a message", func(s sample) float64 { return s.recvAllocs }, true)
	case roundTrip, underLoad:
		add(t.row+" p50", "µs", func(s sample) float64 { return s.p50 }, true)
		add(t.row+" p99", "µs", func(s sample) float64 { return s.p99 }, true)
	}
	return rows
}

// peaks are the most memory that each contender has had resident, in all of its processes together.
func (c contest) peaks(ctx context.Context, b *bench, pairs []*pair) (rows []figures.Row, err error) {
	if !b.wants(peakRow, c.transport, 0) {
		return nil, nil
	}
	var base float64
	for _, i := range []int{1, 0} {
		u, err := pairs[i].usage(ctx)
		if err != nil {
			return nil, err
		}
		if mib := float64(u.peak) / (1 << 20); i == 1 {
			base = mib
		} else {
			rows = append(rows, figures.Row{Row: peakRow, Transport: c.transport, Metric: "MiB resident", Ours: mib, Baseline: pairs[1].name, BaselineValue: base}.Judge())
			b.progress(rows[0])
		}
	}
	return rows, nil
}
