package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"github.com/protofly/protofly/examples/bench/figures"
	"github.com/protofly/protofly/examples/internal/rig"
)

// options are the command line's.
type options struct {
	quick bool
	only  string
	json  bool
	svg   string
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if len(os.Args) > 1 && os.Args[1] == "role" {
		if err := play(ctx, os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
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
	ok, err := run(ctx, o, rig.Build, os.Stdout)
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
	options
	filter *regexp.Regexp
	out    io.Writer
	dir    string
	bin    rig.Binaries
	node   *rig.Node
	made   int           // runtimes
	rounds int           // of each contender at each task
	length time.Duration // of each round
}

const (
	quickRounds, rounds = 3, 7
	quickLength, length = 250 * time.Millisecond, time.Second

	smallest = 100 // bytes
)

func (b *bench) say(format string, args ...any) {
	if !b.json {
		fmt.Fprintf(b.out, format+"\n", args...)
	}
}

// progress shows a row while others are still to be measured.
func (b *bench) progress(r figures.Row) {
	text := fmt.Sprintf("  %s %s %s: %s %s", r.Row, r.Transport, figures.Size(r.Size), figures.Short(r.Ours), r.Metric)
	if r.Baseline != "" {
		text += fmt.Sprintf(", %s %s, %s×", r.Baseline, figures.Short(r.BaselineValue), figures.Short(r.Ratio))
	}
	b.say("%s", text)
}

// wants tells whether a row is to be measured.
func (b *bench) wants(row, transport string, size int) bool {
	return b.filter == nil || b.filter.MatchString(fmt.Sprintf("%s/%s/%d", row, transport, size))
}

// run measures, and prints what it has found. ok: every demand is met.
func run(ctx context.Context, o options, build rig.Builder, out io.Writer) (ok bool, err error) {
	if flag.NArg() > 0 {
		return false, fmt.Errorf("unknown argument %q", flag.Arg(0))
	}
	b := &bench{options: o, out: out, rounds: rounds, length: length}
	if o.quick {
		b.rounds, b.length = quickRounds, quickLength
	}
	if o.only != "" {
		if b.filter, err = regexp.Compile(o.only); err != nil {
			return false, fmt.Errorf("-only: %w", err)
		}
	}
	var remove func()
	if b.dir, remove, err = rig.WorkDir(); err != nil {
		return false, err
	}
	defer remove()
	b.say("building ...")
	if b.bin, err = build(ctx, b.dir, []string{rig.NodePlugin, "quic", "webrtc"}); err != nil {
		return false, err
	}
	house := &rig.House{Dir: b.dir, Bin: b.bin}
	if b.node, err = house.Node(ctx, rig.NodeOptions{Domain: domain}); err != nil {
		return false, err
	}
	defer b.node.Stop()
	var rows []figures.Row
	for _, c := range b.contests() {
		more, err := c.run(ctx, b)
		if err != nil {
			return false, fmt.Errorf("%s: %w", c.transport, err)
		}
		rows = append(rows, more...)
	}
	if o.json {
		err = figures.JSON(out, rows)
	} else {
		b.say("")
		err = errors.Join(figures.Table(out, rows), b.profiles(ctx))
	}
	return len(figures.Failed(rows)) == 0, err
}
