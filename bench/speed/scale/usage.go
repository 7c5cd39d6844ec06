package scale

import (
	"context"
	"fmt"
	"time"

	"github.com/protofly/protofly/bench/rig"
	"github.com/protofly/protofly/bench/speed/load"
)

const (
	settleStep = 500 * time.Millisecond
	settleCalm = 5 * time.Second // how long the memory must not shrink
)

// resident is the resident memory of all processes together, in bytes.
func resident(pids []int) (bytes uint64, err error) {
	for _, pid := range pids {
		now, _, err := load.Memory(pid)
		if err != nil {
			return 0, err
		}
		bytes += now
	}
	return bytes, nil
}

// settle waits until processes do not give memory back any more, at most for a while, and returns how much they have.
func settle(ctx context.Context, pids []int, most time.Duration) (bytes uint64, err error) {
	least, err := resident(pids)
	if err != nil {
		return 0, err
	}
	began, fell := time.Now(), time.Now()
	for time.Since(began) < most && time.Since(fell) < settleCalm {
		if err := pause(ctx, settleStep); err != nil {
			return 0, err
		}
		now, err := resident(pids)
		if err != nil {
			return 0, err
		}
		if now < least-least/200 {
			fell = time.Now()
		}
		least = min(least, now)
	}
	return least, nil
}

// pause lets time pass, in which the measured processes work.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// busy returns how much of one core, in per cent, each process uses during a while.
func busy(ctx context.Context, pids []int, while time.Duration) (list []float64, err error) {
	before := make([]time.Duration, len(pids))
	for i, pid := range pids {
		if before[i], err = load.CPU(pid); err != nil {
			return nil, err
		}
	}
	began := time.Now()
	if err := pause(ctx, while); err != nil {
		return nil, err
	}
	for i, pid := range pids {
		after, err := load.CPU(pid)
		if err != nil {
			return nil, err
		}
		list = append(list, 100*(after-before[i]).Seconds()/time.Since(began).Seconds())
	}
	return list, nil
}

// atRest measures processes that have nothing to do, after their last work is settled: the part of a core that each uses, in
// per cent, and the memory of all together when they have been idle for a while.
func (s *scene) atRest(ctx context.Context, pids []int) (used []float64, bytes uint64, err error) {
	if _, err = settle(ctx, pids, s.patience()); err != nil {
		return nil, 0, err
	}
	if used, err = busy(ctx, pids, s.idleTime()); err != nil {
		return nil, 0, err
	}
	bytes, err = resident(pids)
	return used, bytes, err
}

// process is a process of a runtime.
type process struct {
	name string
	pid  int
}

// processes are a runtime's own, then those of its plug-ins.
func processes(ctx context.Context, r *rig.Runtime) ([]process, error) {
	status, err := r.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("the processes of %s: %w", r.Name, err)
	}
	list := []process{{"runtime", r.PID()}}
	for _, p := range status.Plugins {
		if p.PID != 0 {
			list = append(list, process{p.Name, p.PID})
		}
	}
	return list, nil
}

func pidsOf(list []process) (pids []int) {
	for _, p := range list {
		pids = append(pids, p.pid)
	}
	return pids
}
