package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/protofly/protofly/bench/rig"
)

// options are the options of the command line.
type options struct {
	transport string
	domains   int
	messages  int
	duration  time.Duration
	json      bool
	trace     bool
	keep      bool
}

func main() {
	var o options
	flag.StringVar(&o.transport, "transport", "quic", "how the runtimes connect directly: the name of a P2P plug-in (quic, webrtc), or relay: not at all")
	flag.IntVar(&o.domains, "domains", 1, "1: one Message Node for both; 2: each runtime in a domain and at a node of its own")
	flag.IntVar(&o.messages, "messages", 1000, "numbered messages each way")
	flag.DurationVar(&o.duration, "duration", 5*time.Second, "the time over which they are sent")
	flag.BoolVar(&o.json, "json", false, "print one JSON object and nothing else")
	flag.BoolVar(&o.trace, "trace", false, "also list the steps of the P2P message delivery's two figures, as they happened")
	flag.BoolVar(&o.keep, "keep", false, "leave everything running and say how to look at it")
	flag.Parse()
	if err := o.check(); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(2)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	ok, err := run(ctx, o, rig.Build, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
	}
	if !ok {
		os.Exit(1)
	}
}

func (o *options) check() error {
	switch {
	case flag.NArg() > 0:
		return fmt.Errorf("unknown argument %q", flag.Arg(0))
	case strings.Trim(o.transport, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || o.transport == "":
		return fmt.Errorf("-transport %q: want quic, webrtc or relay", o.transport)
	case o.domains != 1 && o.domains != 2:
		return fmt.Errorf("-domains %d: want 1 or 2", o.domains)
	case o.messages < 1 || o.messages > 1_000_000:
		return fmt.Errorf("-messages %d: want 1 to 1,000,000", o.messages)
	case o.duration < 0 || o.duration > time.Hour:
		return fmt.Errorf("-duration %v: want at most an hour", o.duration)
	}
	return nil
}

// run runs the quickstart. ok is true only if every message arrived, once and in order, over the ways that o asks for.
func run(ctx context.Context, o options, build rig.Builder, out io.Writer) (ok bool, err error) {
	var mu sync.Mutex
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		if !o.json {
			fmt.Fprintf(out, format+"\n", args...)
		}
	}
	dir, remove, err := rig.WorkDir()
	if err != nil {
		return false, err
	}
	if !o.keep {
		defer remove()
	}
	plugins := []string{rig.NodePlugin}
	if o.transport != relay {
		plugins = append(plugins, o.transport)
	}
	say("building the runtime, the Message Node and the plug-ins %s ...", strings.Join(plugins, ", "))
	bin, err := build(ctx, dir, plugins)
	if err != nil {
		return false, err
	}
	w := &world{options: o, house: rig.House{Dir: dir, Bin: bin, Free: o.keep}, say: say}
	defer func() {
		if o.keep && err == nil {
			if err = w.leave(ctx); err == nil {
				return
			}
		}
		err = errors.Join(err, w.close())
	}()
	if err := w.start(ctx); err != nil {
		return false, err
	}
	r, err := w.talk(ctx)
	if err != nil {
		return false, err
	}
	if o.json {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return len(r.Errors) == 0, e.Encode(r)
	}
	r.print(out)
	return len(r.Errors) == 0, nil
}

// relay is the -transport without a direct connection.
const relay = "relay"

// result is the result of the quickstart.
type result struct {
	Transport  string   `json:"transport"`
	Domains    int      `json:"domains"`
	FirstPath  string   `json:"first_path"` // of alice's first message: relay or p2p
	LiveMS     float64  `json:"live_ms"`    // from the first message until both sides were live; -1: never
	Sent       int      `json:"sent"`
	Received   int      `json:"received"`
	Lost       int      `json:"lost"`
	Duplicated int      `json:"duplicated"`
	OutOfOrder int      `json:"out_of_order"`
	ViaRelay   int      `json:"via_relay"`
	ViaP2P     int      `json:"via_p2p"`
	PluginPIDs []int    `json:"plugin_pids"`
	Errors     []string `json:"errors"`
	Trace      []step   `json:"trace,omitempty"`
}

func (r *result) fail(format string, args ...any) {
	r.Errors = append(r.Errors, fmt.Sprintf(format, args...))
}

// check adds an error for everything that is not as promised.
func (r *result) check(o options) {
	if r.Lost+r.Duplicated+r.OutOfOrder > 0 {
		r.fail("%d messages lost, %d duplicated, %d out of order", r.Lost, r.Duplicated, r.OutOfOrder)
	}
	if r.FirstPath != relay {
		r.fail("the first message went by %q, not over the relay", r.FirstPath)
	}
	if o.transport == relay {
		return
	}
	if r.LiveMS < 0 {
		r.fail("no direct connection became live")
	} else if r.ViaP2P == 0 {
		r.fail("no message took the direct connection")
	}
}

func (r *result) print(out io.Writer) {
	row := func(name string, value any) { fmt.Fprintf(out, "  %-22s %v\n", name, value) }
	fmt.Fprintln(out)
	row("transport", r.Transport)
	row("domains", r.Domains)
	row("first path", r.FirstPath)
	if r.LiveMS >= 0 {
		row("direct after", fmt.Sprintf("%.0f ms", r.LiveMS))
	}
	row("sent", r.Sent)
	row("received", r.Received)
	row("lost", r.Lost)
	row("duplicated", r.Duplicated)
	row("out of order", r.OutOfOrder)
	row("over the relay", r.ViaRelay)
	row("over the direct path", r.ViaP2P)
	row("plug-in processes", strings.Trim(strings.Join(strings.Fields(fmt.Sprint(r.PluginPIDs)), ", "), "[]"))
	if len(r.Trace) > 0 {
		fmt.Fprintf(out, "\n  %-13s %4s  %-6s %9s  %-12s %s\n", "figure", "step", "side", "ms", "type", "from -> to")
		for _, s := range r.Trace {
			fmt.Fprintf(out, "  %-13s %4d  %-6s %9.1f  %-12s %s -> %s  %s\n", s.Figure, s.Step, s.Side, s.AtMS, s.Type, s.From, s.To, s.Value[:min(len(s.Value), 60)])
		}
	}
	fmt.Fprintln(out)
	for _, e := range slices.Compact(r.Errors) {
		fmt.Fprintln(out, "  NOT OK:", e)
	}
	if len(r.Errors) == 0 {
		fmt.Fprintln(out, "  OK: every message arrived, once and in order.")
	}
}
