package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/protofly/protofly/examples/bench/contest"
	"github.com/protofly/protofly/examples/bench/figures"
	"github.com/protofly/protofly/examples/internal/rig"
)

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
	made int // runtimes
}

// run measures, and prints what it has found. ok: every demand is met.
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
		more, err := c.Run(ctx, b.Run)
		if err != nil {
			return false, err
		}
		rows = append(rows, more...)
	}
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
