package contest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/protofly/protofly/bench/speed/figures"
	"github.com/protofly/protofly/bench/speed/load"
)

// Contest is contenders over one transport.
type Contest struct {
	Transport string
	Starters  []Starter                  // ours, the baseline, and others, which are compared with the baseline too
	Sizes     []int                      // bytes of streamed messages; none: [Sizes]
	Rate      int                        // paced round trips a second; 0: none
	Bounds    map[string][]figures.Bound // the demands on our figures, by [Name]
}

// Sizes returns the default sizes.
func Sizes() []int { return []int{Smallest, 1 << 10, 16 << 10, 256 << 10} }

// Smallest is the size of the messages of round trips, and of the smallest that are streamed, in bytes.
const Smallest = 100

// Rows of a contest.
const (
	OneWay    = "one-way"
	RoundTrip = "round trip"            // and " p50", " p99"
	UnderLoad = "round trip under load" // the same
	CPU       = "CPU"
	Sending   = "allocations sending"
	Receiving = "allocations receiving"
	Peak      = "peak memory"
)

// Name returns the name of a row for -only and bounds.
func Name(row, transport string, size int) string {
	return fmt.Sprintf("%s/%s/%d", row, transport, size)
}

// task is one kind of work at one size, and its rows.
type task struct {
	command load.Command
	rows    []row
}

type row struct {
	name, metric string
	of           func(sample) float64
}

// tasks returns the tasks that have a wanted row, with these rows alone. The memory's peak is that of all tasks.
func (c *Contest) tasks(r *Run) (list []task) {
	add := func(o load.Command, rows ...row) {
		t := task{command: o}
		for _, one := range rows {
			if r.Wants(one.name, c.Transport, o.Size) {
				t.rows = append(t.rows, one)
			}
		}
		if len(t.rows) > 0 || r.Wants(Peak, c.Transport, 0) {
			list = append(list, t)
		}
	}
	sizes := c.Sizes
	if sizes == nil {
		sizes = Sizes()
	}
	for _, size := range sizes {
		add(load.Command{Do: "stream", Size: size, For: r.length},
			row{OneWay, "messages/s", func(s sample) float64 { return s.rate }},
			row{CPU, "s a million messages", func(s sample) float64 { return s.cpu }},
			row{Sending, "a message", func(s sample) float64 { return s.sendAllocs }},
			row{Receiving, "a message", func(s sample) float64 { return s.receiveAllocs }})
	}
	percentiles := func(name string) []row {
		return []row{{name + " p50", "µs", func(s sample) float64 { return s.p50 }}, {name + " p99", "µs", func(s sample) float64 { return s.p99 }}}
	}
	add(load.Command{Do: "trips", Size: Smallest, For: r.length}, percentiles(RoundTrip)...)
	if c.Rate > 0 {
		add(load.Command{Do: "paced", Size: Smallest, Rate: c.Rate, For: r.length}, percentiles(UnderLoad)...)
	}
	return list
}

// Run holds the contest and returns its rows.
func (c *Contest) Run(ctx context.Context, r *Run) (rows []figures.Row, err error) {
	tasks := c.tasks(r)
	if len(tasks) == 0 {
		return nil, nil
	}
	pairs, err := c.begin(ctx)
	defer func() {
		for _, p := range pairs {
			p.Stop()
		}
	}()
	if err != nil {
		return nil, fmt.Errorf("over %s: %w", c.Transport, err)
	}
	last := make([][]sample, len(pairs))
	for _, t := range tasks {
		all, err := r.rounds(ctx, pairs, t.command)
		if err != nil {
			return rows, fmt.Errorf("over %s: %w", c.Transport, err)
		}
		for _, one := range t.rows {
			rows = append(rows, c.rows(r, one, t.command.Size, pairs, all)...)
		}
		for i := range all {
			last[i] = all[i][len(all[i])-1:]
		}
	}
	if r.Wants(Peak, c.Transport, 0) {
		peak := row{Peak, "MiB resident", func(s sample) float64 { return s.peak }}
		rows = append(rows, c.rows(r, peak, 0, pairs, last)...)
	}
	return rows, nil
}

// begin starts all contenders in parallel. The caller stops those that it returns, also after an error.
func (c *Contest) begin(ctx context.Context) (pairs []*Pair, err error) {
	all, errs := make([]*Pair, len(c.Starters)), make([]error, len(c.Starters))
	var wg sync.WaitGroup
	for i, s := range c.Starters {
		wg.Go(func() { all[i], errs[i] = s.Begin(ctx) })
	}
	wg.Wait()
	return slices.DeleteFunc(all, func(p *Pair) bool { return p == nil }), errors.Join(errs...)
}

// rounds makes all contenders do a task in turns.
func (r *Run) rounds(ctx context.Context, pairs []*Pair, o load.Command) ([][]sample, error) {
	all := make([][]sample, len(pairs))
	for round := range r.count + 1 {
		o := o
		if round == 0 {
			o.For /= 2 // the warm-up
		}
		for turn := range pairs {
			i := (round + turn) % len(pairs)
			s, err := pairs[i].do(ctx, o)
			if err != nil {
				return all, fmt.Errorf("%s, %s of %d bytes: %w", pairs[i].Name, o.Do, o.Size, err)
			}
			if round > 0 {
				all[i] = append(all[i], s)
			}
		}
	}
	return all, nil
}

// rows returns our figure beside the baseline's, then those of the others beside it. It prints them at once.
func (c *Contest) rows(r *Run, of row, size int, pairs []*Pair, all [][]sample) (rows []figures.Row) {
	for i, p := range pairs {
		f := figures.Row{Row: of.name, Transport: c.Transport, Size: size, Metric: of.metric, Ours: median(all[i], of.of), Baseline: pairs[1].Name, BaselineValue: median(all[1], of.of)}
		switch i {
		case 0:
			f = f.Evaluate(c.Bounds[Name(of.name, c.Transport, size)]...)
		case 1:
			continue
		default:
			f.Row += " (" + p.Name + ")"
			f = f.Evaluate()
		}
		r.Progress(f)
		rows = append(rows, f)
	}
	return rows
}

func median(samples []sample, of func(sample) float64) float64 {
	list := make([]float64, len(samples))
	for i, s := range samples {
		list[i] = of(s)
	}
	return figures.Median(list)
}
