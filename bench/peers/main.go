package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"github.com/protofly/protofly/examples/bench/figures"
)

// options are the command line's.
type options struct {
	quick, json bool
	only, svg   string
}

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
	var o options
	flag.BoolVar(&o.quick, "quick", false, "fewer and shorter rounds")
	flag.StringVar(&o.only, "only", "", "measure only rows whose row/transport/size matches this regular expression, such as one-way/quic")
	flag.BoolVar(&o.json, "json", false, "print a JSON list and nothing else")
	flag.StringVar(&o.svg, "svg", "", "write a plot to this file")
	flag.Parse()
	ok, err := run(ctx, o, flag.Args(), os.Stdout)
	if err != nil {
		say(fmt.Errorf("peers: %w", err))
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// bench is one run.
type bench struct {
	options
	filter *regexp.Regexp
	out    io.Writer
	count  int           // rounds of each contender at each task
	length time.Duration // of each round
}

const (
	quickRounds, rounds = 3, 7
	quickLength, length = 250 * time.Millisecond, time.Second
)

// say is what a person reads while the run goes on.
func (b *bench) say(format string, args ...any) {
	if !b.json {
		fmt.Fprintf(b.out, format+"\n", args...)
	}
}

func (b *bench) wants(row, transport string, size int) bool {
	return b.filter == nil || b.filter.MatchString(name(row, transport, size))
}

// contests are what is measured, and what has to hold.
func contests(o *ours) []contest {
	return []contest{
		{transport: "quic", ours: o.contender("quic"), peer: libp2pContender(), rate: 10_000},
		{
			transport: "relay", ours: o.contender(), peer: natsContender(), rate: 10_000,
			bounds: map[string][]figures.Bound{name(oneWay, "relay", 1<<10): {figures.RatioAtLeast(0.35).Wish(0.5)}},
		},
	}
}

// run measures, and prints what it has found. ok: every demand is met.
func run(ctx context.Context, o options, rest []string, out io.Writer) (ok bool, err error) {
	if len(rest) > 0 {
		return false, fmt.Errorf("unknown argument %q", rest[0])
	}
	b := &bench{options: o, out: out, count: rounds, length: length}
	if o.quick {
		b.count, b.length = quickRounds, quickLength
	}
	if o.only != "" {
		if b.filter, err = regexp.Compile(o.only); err != nil {
			return false, fmt.Errorf("-only: %w", err)
		}
	}
	dir, err := os.MkdirTemp("", "peers-") // short: Unix socket paths hold about 100 bytes
	if err != nil {
		return false, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b.say("building ...")
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
		more, err := c.run(ctx, b)
		if err != nil {
			return false, fmt.Errorf("%s: %w", c.transport, err)
		}
		rows = append(rows, more...)
	}
	if len(rows) == 0 {
		return false, fmt.Errorf("-only %s: there is no such row", o.only)
	}
	return len(figures.Failed(rows)) == 0, b.show(rows)
}

// show prints the rows and, where one is wanted, writes the plot.
func (b *bench) show(rows []figures.Row) error {
	if b.svg != "" {
		var plot bytes.Buffer
		if err := figures.Plot(&plot, rows); err != nil {
			return err
		}
		if err := os.WriteFile(b.svg, plot.Bytes(), 0o644); err != nil {
			return err
		}
	}
	if b.json {
		return figures.JSON(b.out, rows)
	}
	b.say("")
	return figures.Table(b.out, rows)
}
