package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/protofly/protofly/bench/rig"
)

// options are the options of the command line.
type options struct {
	list      bool
	name      string
	transport string
	rounds    int // 0: each case's own
	rate      int // 0: each case's own
	json      bool
	unhurried bool
	duration  time.Duration
	seed      uint64
}

func main() {
	var o options
	flag.BoolVar(&o.list, "list", false, "list the cases and what has to hold in each")
	flag.StringVar(&o.name, "case", "", "run this case alone, with those below its name")
	flag.StringVar(&o.transport, "transport", "", "run the cases over this way alone: a P2P plug-in's name, or relay")
	flag.IntVar(&o.rounds, "rounds", 0, "how many times each fault is made (default: the case's own)")
	flag.IntVar(&o.rate, "rate", 0, "messages a second, both ways together (default: the case's own)")
	flag.BoolVar(&o.json, "json", false, "print a JSON list and nothing else")
	flag.BoolVar(&o.unhurried, "unhurried", false, "do not judge bounds of time and memory: the machine does other things too")
	flag.DurationVar(&o.duration, "duration", time.Minute, "how long the case soak kills; from 10m on its bounds are those of long runs")
	flag.Uint64Var(&o.seed, "seed", 0, "the seed of the case soak (default: any; it is printed)")
	flag.Parse()
	planned, err := o.plan()
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(2)
	}
	if o.list {
		list(os.Stdout)
		return
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	ok, err := run(ctx, o, planned, rig.Build, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
	}
	if !ok {
		os.Exit(1)
	}
}

// trial is one case over one transport.
type trial struct {
	fault
	transport    string
	rounds, rate int
	duration     time.Duration // of the soak
	seed         uint64
}

// plan returns the trials that the options ask for.
func (o *options) plan() ([]trial, error) {
	switch {
	case flag.NArg() > 0:
		return nil, fmt.Errorf("unknown argument %q", flag.Arg(0))
	case o.rounds < 0 || o.rounds > 10_000_000:
		return nil, fmt.Errorf("-rounds %d: want 1 to 10,000,000", o.rounds)
	case o.duration < 0 || o.duration > 30*24*time.Hour:
		return nil, fmt.Errorf("-duration %v: want 0 to 720h", o.duration)
	case o.rate < 0 || o.rate > 1_000_000:
		return nil, fmt.Errorf("-rate %d: want 1 to 1,000,000", o.rate)
	}
	if o.seed == 0 {
		o.seed = rand.Uint64()
	}
	var planned []trial
	known := false
	for _, f := range faults() {
		if o.name != "" && o.name != f.name && !strings.HasPrefix(f.name, o.name+"/") {
			continue
		}
		known = true
		for _, transport := range f.transports {
			if o.transport != "" && o.transport != transport {
				continue
			}
			t := trial{fault: f, transport: transport, rounds: f.rounds, rate: f.rate, duration: o.duration, seed: o.seed}
			if o.rounds > 0 {
				t.rounds = o.rounds
			}
			if o.rate > 0 {
				t.rate = o.rate
			}
			planned = append(planned, t)
		}
	}
	switch {
	case !known:
		return nil, fmt.Errorf("-case %q: there is none; -list shows those that there are", o.name)
	case len(planned) == 0:
		return nil, fmt.Errorf("-transport %q: none of the cases asked for goes over it; -list shows what they go over", o.transport)
	}
	return planned, nil
}

// run runs the trials. ok is true only if all hold.
func run(ctx context.Context, o options, planned []trial, build rig.Builder, out io.Writer) (ok bool, err error) {
	dir, remove, err := rig.WorkDir()
	if err != nil {
		return false, err
	}
	defer remove()
	say := func(format string, args ...any) {
		if !o.json {
			fmt.Fprintf(out, format+"\n", args...)
		}
	}
	say("building ...")
	bin, err := build(ctx, dir, []string{rig.NodePlugin, "quic", "webrtc"})
	if err != nil {
		return false, err
	}
	results := make([]*result, 0, len(planned))
	for i, t := range planned {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		say("\n%s over %s: %d rounds at %d messages/s", t.name, t.transport, t.rounds, t.rate)
		r := t.play(ctx, rig.House{Dir: fmt.Sprintf("%s/%d", dir, i), Bin: bin}, say)
		results = append(results, r)
		say("  %s", r.verdict())
	}
	ok = !slices.ContainsFunc(results, func(r *result) bool { return !r.OK && !(o.unhurried && len(r.wrong) == 0) })
	if o.json {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return ok, e.Encode(results)
	}
	table(out, results)
	return ok, nil
}

// play runs the trial with a folder and processes of its own.
func (t trial) play(ctx context.Context, house rig.House, say func(format string, args ...any)) *result {
	return (&bed{trial: t, say: say, result: newResult(t), house: house}).try(ctx)
}

// milliseconds returns d in the unit of the report.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
