package contest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/bench/speed/figures"
	"github.com/protofly/protofly/bench/speed/load"
)

// TestMain is also main for the contender of these tests: records over TCP.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "role" {
		if err := play(context.Background(), os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func play(ctx context.Context, args []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	switch args[0] {
	case "receiver":
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		go func() {
			if c, err := l.Accept(); err == nil {
				_ = load.Answer(ctx, load.NewRecords(c, func() { _ = c.Close() }))
			}
		}()
		return (&load.Child{}).Serve(ctx, l.Addr().String(), os.Stdin, os.Stdout)
	case "sender":
		c, err := net.Dial("tcp", args[1])
		if err != nil {
			return err
		}
		driver, run := load.Drive(load.NewRecords(c, func() { _ = c.Close() }))
		go func() { _ = run(ctx) }()
		return (&load.Child{Driver: driver}).Serve(ctx, "", os.Stdin, os.Stdout)
	}
	return fmt.Errorf("role %q", args[0])
}

func testRun(t *testing.T, o Options, out *bytes.Buffer) *Run {
	t.Helper()
	r, err := New(o, out)
	if err != nil {
		t.Fatal(err)
	}
	r.count, r.length = 2, 30*time.Millisecond
	return r
}

// Two contenders, and a third that is only shown: only wanted rows are measured, and bounds hold for ours alone.
func TestContest(t *testing.T) {
	var out bytes.Buffer
	r := testRun(t, Options{Only: "^(one-way|CPU|allocations.*|round trip.*|peak memory)/tcp/(0|100)$"}, &out)
	c := Contest{
		Transport: "tcp", Rate: 200, Sizes: []int{Smallest, 1000},
		Starters: []Starter{Roles("one", "receiver", "sender"), Roles("two", "receiver", "sender"), Roles("three", "receiver", "sender")},
		Bounds:   map[string][]figures.Bound{"one-way/tcp/100": {figures.AtLeast(1)}, "CPU/tcp/100": {figures.RatioAtMost(0)}},
	}
	rows, err := c.Run(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range rows {
		names = append(names, Name(f.Row, f.Transport, f.Size))
		if f.Baseline != "two" || f.Row == OneWay && (f.Ours <= 0 || f.Ratio != f.Ours/f.BaselineValue || !f.OK) {
			t.Errorf("%+v", f)
		}
		if limited := f.Demand != ""; limited != slices.Contains([]string{OneWay, CPU}, f.Row) {
			t.Errorf("%+v", f)
		}
	}
	for _, want := range []string{"one-way/tcp/100", "one-way (three)/tcp/100", "CPU/tcp/100", "allocations sending/tcp/100", "round trip p50/tcp/100", "round trip under load p99 (three)/tcp/100", "peak memory/tcp/0"} {
		if !slices.Contains(names, want) {
			t.Errorf("no row %s in %v", want, names)
		}
	}
	if slices.Contains(names, "one-way/tcp/1000") {
		t.Error("a row that was not wanted")
	}
	if !strings.Contains(out.String(), "one-way tcp 100 B:") {
		t.Errorf("no progress: %s", out.String())
	}
}

// If a contender does not start, no process is left; if no row is wanted, none is started.
func TestContestFails(t *testing.T) {
	var out bytes.Buffer
	broken := errors.New("broken")
	fails := Starter{"fails", func(context.Context, *Pair) error { return broken }}
	c := Contest{Transport: "tcp", Starters: []Starter{Roles("one", "receiver", "sender"), fails}}
	if _, err := c.Run(t.Context(), testRun(t, Options{}, &out)); !errors.Is(err, broken) {
		t.Error(err)
	}
	rows, err := (&Contest{Transport: "tcp", Starters: []Starter{fails}}).Run(t.Context(), testRun(t, Options{Only: "else"}, &out))
	if rows != nil || err != nil {
		t.Error(rows, err)
	}
}

func TestReport(t *testing.T) {
	if _, err := New(Options{Only: "["}, nil); err == nil {
		t.Error("a filter that is none was taken")
	}
	var out bytes.Buffer
	if _, err := testRun(t, Options{Only: "none"}, &out).Report(nil); err == nil {
		t.Error("a report of nothing")
	}
	met := figures.Row{Row: OneWay, Ours: 2}.Evaluate(figures.AtLeast(1))
	failed := figures.Row{Row: OneWay, Ours: 2}.Evaluate(figures.AtMost(1))
	file := t.TempDir() + "/plot.svg"
	if ok, err := testRun(t, Options{JSON: true, SVG: file}, &out).Report([]figures.Row{met}); !ok || err != nil {
		t.Error(ok, err)
	}
	var list []figures.Row
	if err := json.Unmarshal(out.Bytes(), &list); err != nil || len(list) != 1 {
		t.Errorf("%v: %s", err, out.String())
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
	out.Reset()
	if ok, err := testRun(t, Options{}, &out).Report([]figures.Row{met, failed}); ok || err != nil || !strings.Contains(out.String(), "NOT MET") {
		t.Errorf("%v %v: %s", ok, err, out.String())
	}
}
