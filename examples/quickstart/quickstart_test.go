//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/bench/rig"
	"github.com/protofly/protofly/internal/longtest"
)

var shared struct {
	once sync.Once
	dir  string
	bin  rig.Binaries
	err  error
}

func TestMain(m *testing.M) {
	longtest.Parallel(3) // more would be late, see tries
	code := m.Run()
	if shared.dir != "" {
		_ = os.RemoveAll(shared.dir)
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines are left:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// once builds everything for all tests.
func once(ctx context.Context, _ string, _ []string) (rig.Binaries, error) {
	shared.once.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "pf-qs-"); shared.err == nil {
			shared.bin, shared.err = rig.Build(ctx, shared.dir, []string{"msgnode-ws", "quic", "webrtc"})
		}
	})
	return shared.bin, shared.err
}

// play runs the quickstart and returns the one JSON object that it prints.
func play(t *testing.T, o options) result {
	t.Helper()
	o.json = true
	var out bytes.Buffer
	ok, err := run(t.Context(), o, once, &out)
	if err != nil {
		t.Fatal(err)
	}
	var r result
	d := json.NewDecoder(&out)
	if err := d.Decode(&r); err != nil || d.More() {
		t.Fatalf("not one JSON object: %v\n%s", err, out.String())
	}
	if ok != (len(r.Errors) == 0) {
		t.Errorf("ok is %t, the errors are %v", ok, r.Errors)
	}
	for _, pid := range r.PluginPIDs {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("plug-in process %d is left: %v", pid, err)
		}
	}
	return r
}

// Every transport, in one domain and in two: from the relay to the direct path, nothing lost on the way.
func TestQuickstart(t *testing.T) {
	if _, err := once(t.Context(), "", nil); err != nil {
		t.Fatal(err) // what follows is timed
	}
	for _, transport := range []string{"quic", "webrtc", relay} {
		for _, domains := range []int{1, 2} {
			t.Run(fmt.Sprint(transport, domains), func(t *testing.T) {
				t.Parallel() // most of the time it waits
				var late []string
				for range tries {
					if late = playAndCheck(t, transport, domains); len(late) == 0 || t.Failed() {
						break
					}
					t.Log(strings.Join(late, "\n"))
				}
				for _, what := range late {
					t.Error(what)
				}
			})
		}
	}
}

// tries is how often the quickstart may be played until everything has come in time. A machine that is busy with
// something else makes a set-up take seconds, or lets a side hear that it is live only when it has been spoken to: then
// its answer goes by the relay, and not as in the figure. Nothing may be lost in any of them.
const tries = 4

// playAndCheck plays the quickstart once and returns what was too late.
func playAndCheck(t *testing.T, transport string, domains int) (late []string) {
	o := options{transport: transport, domains: domains, messages: 400, duration: 2 * time.Second, trace: true}
	started := time.Now()
	r := play(t, o)
	note := func(format string, args ...any) { late = append(late, fmt.Sprintf(format, args...)) }
	if took := time.Since(started); took > 30*time.Second {
		note("took %v", took)
	}
	direct := transport == relay || r.LiveMS >= 0 && r.ViaP2P > 0
	if len(r.Errors) > 1 || direct && len(r.Errors) > 0 { // one says that it was not
		t.Errorf("not ok: %v", r.Errors)
	}
	if r.FirstPath != relay || r.Sent != 800 || r.Received != 800 || r.Lost+r.Duplicated+r.OutOfOrder != 0 || r.ViaRelay+r.ViaP2P != 800 {
		t.Errorf("%+v", r)
	}
	if transport == relay {
		if r.LiveMS >= 0 || r.ViaP2P != 0 || len(r.Trace) != 0 {
			t.Errorf("relay only: %+v", r)
		}
		return late
	}
	if r.LiveMS < 0 || r.LiveMS > 1500 || r.ViaP2P == 0 || r.ViaP2P < r.ViaRelay {
		note("live after %v ms, %d over the relay, %d direct", r.LiveMS, r.ViaRelay, r.ViaP2P)
	}
	checkSteps(t, r.Trace, note)
	return late
}

// checkSteps asserts the two figures: every step is there, on its side, in the figure's order. Step 15 of the set-up is
// an exchange and goes on until the end. What is missing or out of order it notes.
func checkSteps(t *testing.T, trace []step, note func(format string, args ...any)) {
	t.Helper()
	at := map[string]float64{}
	for _, s := range trace {
		key := fmt.Sprintf("%s %d %s", s.Figure, s.Step, s.Side)
		if _, seen := at[key]; !seen {
			at[key] = s.AtMS
		} else if s.Figure != "setup" || s.Step != 15 {
			t.Errorf("%s is there twice", key)
		}
		if s.From == "" && s.To == "" {
			t.Errorf("%s says nothing: %+v", key, s)
		}
	}
	figures := []struct {
		name  string
		sides []string // by step, from 1
	}{
		{"setup", []string{"alice", "alice", "alice", "alice", "alice", "alice", "alice", "alice", "node", "bob", "bob", "bob", "bob", "bob", "bob+alice"}},
		{"registration", []string{"bob", "bob", "bob", "bob", "bob", "bob", "bob", "bob", "bob", "bob+alice", "alice", "alice", "alice", "alice", "alice", "alice+bob", "bob", "bob"}},
	}
	for _, f := range figures {
		last, lastKey := -1.0, ""
		for i, sides := range f.sides {
			for _, side := range strings.Split(sides, "+") {
				key := fmt.Sprintf("%s %d %s", f.name, i+1, side)
				ms, ok := at[key]
				if !ok {
					note("step %s was not observed", key)
					continue
				}
				if ms < last {
					note("step %s at %.3f ms is before %s at %.3f ms", key, ms, lastKey, last)
				}
				last, lastKey = ms, key
			}
		}
	}
	if at["registration 1 bob"] < at["setup 14 bob"] {
		note("the connection was live before it was set up")
	}
}

// What a user sees without flags: states, ways and a table, and nothing left running.
func TestOutput(t *testing.T) {
	t.Parallel()
	var ok bool
	var out bytes.Buffer
	var missing []string
	for _, duration := range []time.Duration{time.Second, 5 * time.Second, 20 * time.Second} { // a busy machine connects late
		out.Reset()
		var err error
		if ok, err = run(t.Context(), options{transport: "quic", domains: 1, messages: 50, duration: duration}, once, &out); err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		missing = nil
		for _, want := range []string{"connection created", "connection live", "messages go by relay", "messages go by direct", "lost                   0", "OK:"} {
			if !strings.Contains(out.String(), want) {
				missing = append(missing, want)
			}
		}
		if ok && missing == nil {
			return
		}
	}
	t.Errorf("ok is %t, %q are not in\n%s", ok, missing, out.String())
}

func TestOptions(t *testing.T) {
	for _, o := range []options{
		{transport: "", domains: 1, messages: 1}, {transport: "../x", domains: 1, messages: 1},
		{transport: "quic", domains: 3, messages: 1}, {transport: "quic", domains: 1}, {transport: "quic", domains: 1, messages: 1, duration: -1},
	} {
		if err := o.check(); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
