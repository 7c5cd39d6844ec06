package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/protofly/protofly/bench/speed/contest"
	"github.com/protofly/protofly/bench/speed/figures"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if len(os.Args) > 1 && os.Args[1] == "role" {
		if err := play(ctx, os.Args[2:]); err != nil {
			say(err)
			os.Exit(1)
		}
		return
	}
	var o contest.Options
	o.Flags(flag.CommandLine)
	flag.Parse()
	ok, err := run(ctx, o, flag.Args(), os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// contests returns the measurements and their demands.
func contests(o *ours) []contest.Contest {
	return []contest.Contest{
		{Transport: "quic", Starters: []contest.Starter{o.protofly("quic"), libp2pStream()}, Rate: 10_000},
		{
			Transport: "relay", Starters: []contest.Starter{o.protofly(), o.nats()}, Rate: 10_000,
			Bounds: map[string][]figures.Bound{contest.Name(contest.OneWay, "relay", 1<<10): {figures.RatioAtLeast(0.35).Wish(0.5)}},
		},
	}
}

// run measures, and prints the results. ok says that every demand is met.
func run(ctx context.Context, o contest.Options, rest []string, out io.Writer) (ok bool, err error) {
	if len(rest) > 0 {
		return false, fmt.Errorf("unknown argument %q", rest[0])
	}
	r, err := contest.New(o, out)
	if err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp("", "peers-") // short: Unix socket paths hold about 100 bytes
	if err != nil {
		return false, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	r.Say("building ...")
	us, err := build(ctx, dir)
	if err != nil {
		return false, err
	}
	if err := us.startNode(ctx); err != nil {
		return false, err
	}
	defer us.node.Stop()
	var rows []figures.Row
	for _, c := range contests(us) {
		more, err := c.Run(ctx, r)
		if err != nil {
			return false, err
		}
		rows = append(rows, more...)
	}
	return r.Report(rows)
}
