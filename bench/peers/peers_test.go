package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/examples/bench/figures"
	"github.com/protofly/protofly/examples/bench/load"
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

// Each peer does each kind of work, and says what it has used.
func TestPeers(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	for _, c := range []contender{libp2pContender(), natsContender()} {
		t.Run(c.name, func(t *testing.T) { works(t, c) })
	}
}

func works(t *testing.T, c contender) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	p, err := c.begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	for _, o := range []load.Command{{Do: "stream", Size: smallest}, {Do: "stream", Size: 256 << 10}, {Do: "trips", Size: smallest}, {Do: "paced", Size: smallest, Rate: 100}} {
		o.For = 100 * time.Millisecond
		s, err := p.do(ctx, o)
		if err != nil {
			t.Fatalf("%s of %d bytes: %v", o.Do, o.Size, err)
		}
		if s.rate <= 0 || o.Do != "stream" && (s.p50 <= 0 || s.p99 < s.p50) {
			t.Errorf("%s of %d bytes: %+v", o.Do, o.Size, s)
		}
	}
	if u, err := p.usage(ctx); err != nil || u.sent == 0 || u.received == 0 || u.peak == 0 {
		t.Errorf("used: %+v, %v", u, err)
	}
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
	if _, err := run(ctx, options{quick: true, json: true, only: "^one-way/.*/100$", svg: plot}, nil, &out); err != nil {
		t.Fatal(err)
	}
	var rows []figures.Row
	if err := json.Unmarshal(out.Bytes(), &rows); err != nil {
		t.Fatalf("%v: %s", err, out.Bytes())
	}
	if len(rows) != 2 || rows[0].Baseline != "go-libp2p" || rows[1].Baseline != "NATS" {
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

// What cannot be is an error, before anything is built.
func TestRefused(t *testing.T) {
	if _, err := run(t.Context(), options{only: "("}, nil, io.Discard); err == nil {
		t.Error("a filter that is none was taken")
	}
	if _, err := run(t.Context(), options{}, []string{"more"}, io.Discard); err == nil {
		t.Error("an argument was taken")
	}
	for _, args := range [][]string{nil, {"none"}, {"libp2p-sender"}, {"libp2p-sender", "nowhere"}, {"nats-sender"}, {"nats-sender", "tls://127.0.0.1:1 !"}, {"protofly-node"}, {"protofly-node", "/no/such/program", "folder"}} {
		if err := play(t.Context(), args); err == nil {
			t.Errorf("role %q was played", args)
		}
	}
}

// Records come out as they went in, and one that is too long is an error.
func TestRecords(t *testing.T) {
	a, b := net.Pipe()
	out := newRecords(a, func() { _ = a.Close() })
	in := newRecords(b, func() { _ = b.Close() })
	sizes := []int{0, 1, smallest, recordBuffer, maxRecord, maxRecord + 1}
	sent := make(chan error, 1)
	go func() {
		defer close(sent)
		for i, n := range sizes {
			if err := out.Send(t.Context(), bytes.Repeat([]byte{byte(i)}, n), i%2 == 0); err != nil {
				sent <- fmt.Errorf("record %d: %w", i, err)
				return
			}
		}
	}()
	var got []int
	err := in.Run(t.Context(), func(r []byte) {
		if !bytes.Equal(r, bytes.Repeat([]byte{byte(len(got))}, len(r))) {
			t.Errorf("record %d is another", len(got))
		}
		got = append(got, len(r))
	})
	if err == nil || fmt.Sprint(got) != fmt.Sprint(sizes[:len(sizes)-1]) {
		t.Errorf("records of %v bytes, then %v", got, err)
	}
	in.end()
	if err := <-sent; err == nil {
		t.Error("the last record was sent to nobody")
	}
	out.end()
}
