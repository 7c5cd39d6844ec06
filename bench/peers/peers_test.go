package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/bench/speed/contest"
	"github.com/protofly/protofly/bench/speed/figures"
)

// TestMain is also main for the children that the tests start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "role" {
		if err := play(context.Background(), os.Args[2:]); err != nil {
			say(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// A run of one row, from the build to the list.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs and starts them")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var out bytes.Buffer
	plot := t.TempDir() + "/plot.svg"
	if _, err := run(ctx, contest.Options{Quick: true, JSON: true, Only: "^(one-way|round.*)/.*/100$", SVG: plot}, nil, &out); err != nil {
		t.Fatal(err)
	}
	var rows []figures.Row
	if err := json.Unmarshal(out.Bytes(), &rows); err != nil {
		t.Fatalf("%v: %s", err, out.Bytes())
	}
	if len(rows) != 2*5 || rows[0].Baseline != "go-libp2p" || rows[5].Baseline != "NATS" {
		t.Fatalf("%+v", rows)
	}
	for _, r := range rows {
		if r.Ours <= 0 || r.BaselineValue <= 0 || r.Ratio != r.Ours/r.BaselineValue {
			t.Errorf("%+v", r)
		}
	}
	if text, err := os.ReadFile(plot); err != nil || !bytes.Contains(text, []byte("go-libp2p")) {
		t.Errorf("the plot: %v", err)
	}
}

// Invalid options are an error, before anything is built.
func TestRefused(t *testing.T) {
	if _, err := run(t.Context(), contest.Options{Only: "("}, nil, io.Discard); err == nil {
		t.Error("a filter that is none was taken")
	}
	if _, err := run(t.Context(), contest.Options{}, []string{"more"}, io.Discard); err == nil {
		t.Error("an argument was taken")
	}
	for _, args := range [][]string{nil, {"none"}, {"libp2p-sender"}, {"libp2p-sender", "nowhere"}, {"protofly-node"}, {"protofly-node", "/no/such/program", "folder"}} {
		if err := play(t.Context(), args); err == nil {
			t.Errorf("role %q was played", args)
		}
	}
}
