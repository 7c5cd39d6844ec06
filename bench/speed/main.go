package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/protofly/protofly/bench/rig"
	"github.com/protofly/protofly/bench/speed/contest"
	"github.com/protofly/protofly/bench/speed/figures"
	"github.com/protofly/protofly/bench/speed/scale"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if len(os.Args) > 1 && (os.Args[1] == "role" || os.Args[1] == scale.CrowdArgument) {
		if err := play(ctx, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	var o contest.Options
	o.Flags(flag.CommandLine)
	flag.Parse()
	ok, err := run(ctx, o, flag.Args(), rig.Build, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// bench is one run.
type bench struct {
	*contest.Run
	dir  string
	bin  rig.Binaries
	node *rig.Node
	made atomic.Int64 // runtimes
}

// run measures, and prints the results. ok says that every demand is met.
func run(ctx context.Context, o contest.Options, rest []string, build rig.Builder, out io.Writer) (ok bool, err error) {
	if len(rest) > 0 {
		return false, fmt.Errorf("unknown argument %q", rest[0])
	}
	r, err := contest.New(o, out)
	if err != nil {
		return false, err
	}
	b := &bench{Run: r}
	var remove func()
	if b.dir, remove, err = rig.WorkDir(); err != nil {
		return false, err
	}
	defer remove()
	b.Say("building ...")
	if b.bin, err = build(ctx, b.dir, scale.Plugins()); err != nil {
		return false, err
	}
	house := &rig.House{Dir: b.dir, Bin: b.bin}
	if b.node, err = house.Node(ctx, rig.NodeOptions{Domain: domain}); err != nil {
		return false, err
	}
	defer b.node.Stop()
	var rows []figures.Row
	for _, c := range b.contests() {
		more, err := c.Run(ctx, b.Run)
		if err != nil {
			return false, err
		}
		rows = append(rows, more...)
	}
	more, err := b.scale(ctx)
	if err != nil {
		return false, err
	}
	rows = append(rows, more...)
	summary, err := b.profiles(ctx)
	if err != nil {
		return false, err
	}
	if len(rows) > 0 || summary == "" {
		ok, err = b.Report(rows)
	}
	b.Say("%s", summary)
	return ok, errors.Join(err, ctx.Err())
}

// scale measures the cost of many peers, connections and subscribers. -only selects the groups by their names.
func (b *bench) scale(ctx context.Context) (rows []figures.Row, err error) {
	e := scale.Env{Bin: b.bin, Dir: b.dir, Quick: b.Quick, Say: func(format string, args ...any) { b.Say("  "+format, args...) }}
	groups := slices.DeleteFunc(scale.Groups(), func(g scale.Group) bool { return !b.Wants(g.Name, "scale", 0) })
	for len(groups) > 0 {
		together := 1
		for b.Quick && together < len(groups) && !groups[together-1].Alone && !groups[together].Alone {
			together++ // with -quick, groups that do not measure time run in parallel
		}
		more, err := measure(ctx, groups[:together], e)
		if err != nil {
			return rows, err
		}
		for _, r := range more {
			b.Progress(r)
		}
		rows, groups = append(rows, more...), groups[together:]
	}
	return rows, nil
}

// measure measures groups in parallel.
func measure(ctx context.Context, groups []scale.Group, e scale.Env) (rows []figures.Row, err error) {
	found, errs := make([][]figures.Row, len(groups)), make([]error, len(groups))
	var wg sync.WaitGroup
	for i, g := range groups {
		wg.Go(func() {
			if found[i], errs[i] = g.Measure(ctx, e); errs[i] != nil {
				errs[i] = fmt.Errorf("%s: %w", g.Name, errs[i])
			}
		})
	}
	wg.Wait()
	return slices.Concat(found...), errors.Join(errs...)
}
