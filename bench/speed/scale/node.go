package scale

import (
	"context"
	"fmt"
	"strconv"

	"github.com/protofly/protofly/bench/speed/figures"
	"github.com/protofly/protofly/bench/speed/load"
)

// connections connects many runtimes to a Message Node, and measures what they cost it.
func connections(ctx context.Context, s *scene) (rows []figures.Row, err error) {
	crowd, err := s.crowd(ctx)
	if err != nil {
		return nil, err
	}
	defer crowd.Stop()
	node := []int{s.node.PID()}
	if _, err := crowd.Do(ctx, load.Command{Do: doGuests, Size: warmUp}); err != nil {
		return nil, err
	}
	before, err := settle(ctx, node, s.patience())
	if err != nil {
		return nil, err
	}
	n := s.Sizes.Connections
	s.Say("%d runtimes connect to one Message Node", n)
	came, err := crowd.Do(ctx, load.Command{Do: doGuests, Size: n})
	if err != nil {
		return nil, err
	}
	s.Say("they were there after %.1f s; now nobody says anything", came.Seconds)
	used, after, err := s.atRest(ctx, node)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%d connections", n)
	return []figures.Row{
		figures.Row{Row: name, Transport: "node", Metric: "connections/s", Ours: float64(n) / came.Seconds}.Evaluate(),
		figures.Row{Row: name, Transport: "node", Metric: "KiB/connection", Ours: (float64(after) - float64(before)) / kib / float64(n)}.Evaluate(figures.AtMost(30)),
		figures.Row{Row: name + ", idle", Transport: "node", Metric: "% of a core", Ours: used[0]}.Evaluate(),
	}, nil
}

const (
	published   = 10000 // bytes of a publication
	wrongMetric = "lost, doubled or out of order"
)

// fanOut makes one runtime publish to many: first each publication when all have got the one before, then all at once.
func fanOut(ctx context.Context, s *scene) (rows []figures.Row, err error) {
	crowd, err := s.crowd(ctx)
	if err != nil {
		return nil, err
	}
	defer crowd.Stop()
	n := s.Sizes.Observers
	if _, err := crowd.Do(ctx, load.Command{Do: doGuests, Size: n + 1}); err != nil {
		return nil, err
	}
	if _, err := crowd.Do(ctx, load.Command{Do: doObserve}); err != nil {
		return nil, err
	}
	s.Say("%d publications to %d observers, twice", s.Sizes.Publications, n)
	name := fmt.Sprintf("fan-out to %d", n)
	wrong := 0
	for _, do := range []string{doPublish, doBurst} {
		r, err := crowd.Do(ctx, load.Command{Do: do, Rate: s.Sizes.Publications, Size: published})
		if err != nil {
			return nil, err
		}
		if wrong, err = strconv.Atoi(r.Text); err != nil { // in both parts
			return nil, err
		}
		row := figures.Row{Row: name, Transport: "node", Size: published}
		if do == doPublish {
			for metric, v := range map[string]float64{"ms p50": r.P50, "ms p99": r.P99} {
				row.Metric, row.Ours = metric, v/1000
				rows = append(rows, row.Evaluate())
			}
		} else {
			row.Metric, row.Ours = "copies/s", float64(r.Messages)/r.Seconds
			rows = append(rows, row.Evaluate())
		}
	}
	return append(rows, figures.Row{Row: name, Transport: "node", Size: published, Metric: wrongMetric,
		Ours: float64(wrong)}.Evaluate(figures.AtMost(0))), nil
}
