package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/bench/rig"
	"github.com/protofly/protofly/bench/speed/contest"
	"github.com/protofly/protofly/bench/speed/figures"
	"github.com/protofly/protofly/bench/speed/scale"
	"github.com/protofly/protofly/internal/longtest"
)

// TestMain is also main for the children that the tests start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "role" || os.Args[1] == scale.CrowdArgument) {
		if err := play(context.Background(), os.Args[1:]); err != nil {
			say(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// once returns a builder that builds once for all subtests of t.
func once(t *testing.T) rig.Builder {
	var lock sync.Mutex
	var bin rig.Binaries
	return func(ctx context.Context, _ string, plugins []string) (rig.Binaries, error) {
		lock.Lock()
		defer lock.Unlock()
		if bin.Runtime != "" {
			return bin, nil
		}
		dir, remove, err := rig.WorkDir()
		if err != nil {
			return bin, err
		}
		t.Cleanup(remove)
		bin, err = rig.Build(ctx, dir, plugins)
		return bin, err
	}
}

// Whole runs, with real processes.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs and starts them")
	}
	build := once(t)
	t.Run("rows", func(t *testing.T) { t.Parallel(); rows(t, build) })
	t.Run("profiles", func(t *testing.T) { t.Parallel(); profiles(t, build, "^profile/(quic/100|webrtc/262144)$") })
}

// All profiles.
func TestLongProfiles(t *testing.T) {
	longtest.Skip(t)
	profiles(t, rig.Build, "^profile/")
}

// A run of a few rows with every contender, from the build to the list. The figures are not checked, since the machine may be
// busy.
func rows(t *testing.T, build rig.Builder) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var out bytes.Buffer
	plot := t.TempDir() + "/plot.svg"
	o := contest.Options{Quick: true, JSON: true, Only: "^(one-way/(quic/(100|262144)|webrtc/262144|relay/100)|(round trip p50|allocations .*)/quic/100)$", SVG: plot}
	if _, err := run(ctx, o, nil, build, &out); err != nil {
		t.Fatal(err)
	}
	var rows []figures.Row
	if err := json.Unmarshal(out.Bytes(), &rows); err != nil {
		t.Fatalf("%v: %s", err, out.Bytes())
	}
	seen := map[string]bool{}
	for _, r := range rows {
		seen[contest.Name(r.Row, r.Transport, r.Size)] = true
		if r.Ours < 0 || strings.HasPrefix(r.Row, contest.OneWay) && (r.Ours == 0 || r.BaselineValue == 0) {
			t.Errorf("%+v", r)
		}
	}
	for _, name := range []string{
		"one-way/quic/100", "one-way (protofly, local API)/quic/262144", "one-way (go-plugin gRPC)/quic/100", "one-way/webrtc/262144", "one-way/relay/100",
		"round trip p50/quic/100", "allocations sending/quic/100", "allocations receiving (protofly, local API)/quic/100",
	} {
		if !seen[name] {
			t.Errorf("no row %s among %v", name, seen)
		}
	}
	if text, err := os.ReadFile(plot); err != nil || !bytes.Contains(text, []byte(rawQUIC)) {
		t.Errorf("the plot: %v", err)
	}
}

// The summary names every process, and functions of ours and of the transport's.
func profiles(t *testing.T, build rig.Builder, only string) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var out bytes.Buffer
	if _, err := run(ctx, contest.Options{Quick: true, Only: only}, nil, build, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"sending runtime, CPU", "receiving runtime, CPU", "sending plug-in quic, CPU", "receiving plug-in quic, CPU", "flat%"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

// Invalid options are an error, before anything is built.
func TestRefused(t *testing.T) {
	build := func(context.Context, string, []string) (rig.Binaries, error) {
		t.Error("it is built")
		return rig.Binaries{}, context.Canceled
	}
	for _, bad := range []struct {
		o    contest.Options
		rest []string
	}{{contest.Options{Only: "("}, nil}, {contest.Options{}, []string{"more"}}} {
		if _, err := run(t.Context(), bad.o, bad.rest, build, io.Discard); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	for _, args := range [][]string{nil, {"none"}, {"quic-sender"}, {"quic-sender", "127.0.0.1:1 !"}, {"ours-sender"}, {"ours-sender", "{"}, {"socket-sender", "x"}, {"nats-sender", "tls://127.0.0.1:1 !"}} {
		if err := play(t.Context(), append([]string{"role"}, args...)); err == nil {
			t.Errorf("role %q was played", args)
		}
	}
}
