package scale

import (
	"context"
	"fmt"

	"github.com/protofly/protofly/bench/rig"
	"github.com/protofly/protofly/bench/speed/figures"
	"github.com/protofly/protofly/sdk/message"
)

const mib = 1 << 20

// idle measures the processes of a runtime with one P2P plug-in that has nothing to do.
func idle(ctx context.Context, s *scene) (rows []figures.Row, err error) {
	r, err := s.runtime(ctx, "alone", "quic")
	if err != nil {
		return nil, err
	}
	defer r.Stop()
	if err := complete(ctx, r); err != nil {
		return nil, err
	}
	list, err := processes(ctx, r)
	if err != nil {
		return nil, err
	}
	s.Say("a runtime with %d plug-ins does nothing", len(list)-1)
	used, _, err := s.atRest(ctx, pidsOf(list))
	if err != nil {
		return nil, err
	}
	for i, p := range list {
		has, err := resident([]int{p.pid})
		if err != nil {
			return nil, err
		}
		rows = append(rows,
			figures.Row{Row: "idle runtime", Transport: p.name, Metric: "MiB resident", Ours: float64(has) / mib}.Evaluate(figures.AtMost(40)),
			figures.Row{Row: "idle runtime", Transport: p.name, Metric: "% of a core", Ours: used[i]}.Evaluate(s.atLeisure(figures.AtMost(0.2))...))
	}
	return rows, nil
}

// complete waits until the runtime is connected to its Message Node, which it does in the background.
func complete(ctx context.Context, r *rig.Runtime) error {
	for {
		status, err := r.Status(ctx)
		if err != nil {
			return err
		}
		for _, stub := range status.Stubs {
			if stub.Domain == domain && stub.State == message.Live {
				return nil
			}
		}
		if err := pause(ctx, settleStep); err != nil {
			return fmt.Errorf("%s is not connected to its Message Node: %w", r.Name, err)
		}
	}
}
