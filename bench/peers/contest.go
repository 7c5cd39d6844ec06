package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/protofly/protofly/examples/bench/figures"
	"github.com/protofly/protofly/examples/bench/load"
)

// contest is ours beside a peer, over one transport.
type contest struct {
	transport  string
	ours, peer contender
	rate       int                        // of the paced round trips a second; 0: none
	bounds     map[string][]figures.Bound // by name, see [name]
}

// task is one kind of work at one size, and the rows that come of it.
type task struct {
	command load.Command
	rows    []row
}

type row struct {
	name, metric string
	of           func(sample) float64
}

const (
	oneWay    = "one-way"
	roundTrip = "round trip"
	underLoad = "round trip under load"
	peakRow   = "peak memory"

	smallest = 100 // bytes
)

// name is what -only and bounds call a row.
func name(row, transport string, size int) string {
	return fmt.Sprintf("%s/%s/%d", row, transport, size)
}

// tasks are those that bring a wanted row, with no other row. The peak of memory is that of all of them.
func (b *bench) tasks(c contest) (list []task) {
	add := func(o load.Command, rows ...row) {
		t := task{command: o}
		for _, r := range rows {
			if b.wants(r.name, c.transport, o.Size) {
				t.rows = append(t.rows, r)
			}
		}
		if len(t.rows) > 0 || b.wants(peakRow, c.transport, 0) {
			list = append(list, t)
		}
	}
	for _, size := range []int{smallest, 1 << 10, 16 << 10, 256 << 10} {
		add(load.Command{Do: "stream", Size: size, For: b.length},
			row{oneWay, "messages/s", func(s sample) float64 { return s.rate }},
			row{"CPU", "s a million messages", func(s sample) float64 { return s.cpu }},
			row{"allocations sending", "a message", func(s sample) float64 { return s.sendAllocs }},
			row{"allocations receiving", "a message", func(s sample) float64 { return s.receiveAllocs }})
	}
	percentiles := func(name string) []row {
		return []row{{name + " p50", "µs", func(s sample) float64 { return s.p50 }}, {name + " p99", "µs", func(s sample) float64 { return s.p99 }}}
	}
	add(load.Command{Do: "trips", Size: smallest, For: b.length}, percentiles(roundTrip)...)
	if c.rate > 0 {
		add(load.Command{Do: "paced", Size: smallest, Rate: c.rate, For: b.length}, percentiles(underLoad)...)
	}
	return list
}

// run holds the contest: both take turns, task by task, for several rounds.
func (c contest) run(ctx context.Context, b *bench) (rows []figures.Row, err error) {
	tasks := b.tasks(c)
	if len(tasks) == 0 {
		return nil, nil
	}
	var pairs [2]*pair // ours, the peer
	for i, one := range []contender{c.ours, c.peer} {
		if pairs[i], err = one.begin(ctx); err != nil {
			return nil, err
		}
		defer pairs[i].stop()
	}
	for _, t := range tasks {
		samples, err := b.rounds(ctx, pairs, t.command)
		if err != nil {
			return rows, err
		}
		for _, r := range t.rows {
			rows = append(rows, b.row(c, r, t.command.Size, samples))
		}
	}
	if !b.wants(peakRow, c.transport, 0) {
		return rows, nil
	}
	var samples [2][]sample
	for i, p := range pairs {
		u, err := p.usage(ctx)
		if err != nil {
			return rows, err
		}
		samples[i] = []sample{{rate: float64(u.peak) / (1 << 20)}}
	}
	return append(rows, b.row(c, row{peakRow, "MiB resident", func(s sample) float64 { return s.rate }}, 0, samples)), nil
}

// rounds has both do a task in turns. The first round is to warm up; who begins changes.
func (b *bench) rounds(ctx context.Context, pairs [2]*pair, o load.Command) (samples [2][]sample, err error) {
	for round := range b.count + 1 {
		for turn := range pairs {
			i := (round + turn) % len(pairs)
			s, err := pairs[i].do(ctx, o)
			if err != nil {
				return samples, fmt.Errorf("%s, %s of %d bytes: %w", pairs[i].name, o.Do, o.Size, err)
			}
			if round > 0 {
				samples[i] = append(samples[i], s)
			}
		}
	}
	return samples, nil
}

// row is a figure of ours beside the peer's; it is shown at once.
func (b *bench) row(c contest, r row, size int, samples [2][]sample) figures.Row {
	f := figures.Row{
		Row: r.name, Transport: c.transport, Size: size, Metric: r.metric, Ours: median(samples[0], r.of),
		Baseline: c.peer.name, BaselineValue: median(samples[1], r.of),
	}.Judge(c.bounds[name(r.name, c.transport, size)]...)
	what := strings.TrimSpace(fmt.Sprintf("%s %s %s", f.Row, f.Transport, figures.Size(size)))
	b.say("  %s: %s %s, %s %s, %s×", what, figures.Short(f.Ours), f.Metric, f.Baseline, figures.Short(f.BaselineValue), figures.Short(f.Ratio))
	return f
}

func median(samples []sample, of func(sample) float64) float64 {
	list := make([]float64, len(samples))
	for i, s := range samples {
		list[i] = of(s)
	}
	return figures.Median(list)
}
