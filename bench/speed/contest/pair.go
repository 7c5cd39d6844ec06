package contest

import (
	"context"
	"fmt"
	"time"

	"github.com/protofly/protofly/bench/speed/load"
)

// Starter starts a contender.
type Starter struct {
	Name  string
	Start func(ctx context.Context, p *Pair) error // also if it fails, the processes that it has put into p are ended
}

// Pair is a running contender: the sender, the receiver, and other processes that they need.
type Pair struct {
	Name             string
	Sender, Receiver *load.Process   // Receiver is nil if it is a child process of the sender
	Runtimes         []*load.Process // if the applications are processes of their own: the receiver's, then the sender's
	Others           []*load.Process // ended last
	More             []int           // further processes that count; others end them
}

// Begin starts the contender. If that fails no process is left.
func (s Starter) Begin(ctx context.Context) (*Pair, error) {
	p := &Pair{Name: s.Name}
	if err := s.Start(ctx, p); err != nil {
		p.Stop()
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	return p, nil
}

// Roles makes a contender of two roles of this program. The sender gets the receiver's address.
func Roles(name, receiver, sender string) Starter {
	return Starter{name, func(ctx context.Context, p *Pair) (err error) {
		if p.Receiver, err = load.Start(ctx, receiver, "role", receiver); err != nil {
			return err
		}
		p.Sender, err = load.Start(ctx, sender, "role", sender, p.Receiver.Addr)
		return err
	}}
}

func (p *Pair) processes() (list []*load.Process) {
	for _, c := range append([]*load.Process{p.Sender, p.Receiver}, append(p.Runtimes, p.Others...)...) {
		if c != nil {
			list = append(list, c)
		}
	}
	return list
}

// Cores returns the two processes whose allocations count, the sender's first: those with the runtimes, or else both ends.
func (p *Pair) Cores() [2]*load.Process {
	if len(p.Runtimes) == 2 {
		return [2]*load.Process{p.Runtimes[1], p.Runtimes[0]}
	}
	return [2]*load.Process{p.Sender, p.Receiver}
}

// Stop ends all of its processes.
func (p *Pair) Stop() {
	for _, c := range p.processes() {
		c.Stop()
	}
}

// used is what a pair has used since it began.
type used struct {
	cpu    time.Duration // of all processes
	allocs [2]uint64     // of the sending and the receiving core
	peak   uint64        // bytes resident, of all processes together
}

func (p *Pair) usage(ctx context.Context) (u used, err error) {
	pids := append([]int(nil), p.More...)
	cores := p.Cores()
	for _, c := range p.processes() {
		one, err := c.Usage(ctx)
		if err != nil {
			return u, err
		}
		pids = append(pids, one.PIDs...)
		for i := range cores {
			if c == cores[i] {
				u.allocs[i] = one.Mallocs
			}
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
type sample struct{ rate, p50, p99, cpu, sendAllocs, receiveAllocs, peak float64 }

// answerTime is how much longer than the work itself a command may take.
const answerTime = time.Minute

// do makes the pair do a piece of work once.
func (p *Pair) do(ctx context.Context, c load.Command) (s sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.For+answerTime)
	defer cancel()
	before, err := p.usage(ctx)
	if err != nil {
		return s, err
	}
	r, err := p.Sender.Do(ctx, c)
	if err != nil {
		return s, err
	}
	after, err := p.usage(ctx)
	if err != nil {
		return s, err
	}
	n := float64(r.Messages)
	allocs := func(i int) float64 { return float64(after.allocs[i]-before.allocs[i]) / n }
	return sample{
		rate: n / r.Seconds, p50: r.P50, p99: r.P99, cpu: (after.cpu - before.cpu).Seconds() / n * 1e6,
		sendAllocs: allocs(0), receiveAllocs: allocs(1), peak: float64(after.peak) / (1 << 20),
	}, nil
}
