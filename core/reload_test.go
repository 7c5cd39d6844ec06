//go:build unix

package core_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/sdk/message"
)

// gaps measures the time without messages of a hyperty at another runtime, as the core delivers them.
type gaps struct {
	mu     sync.Mutex
	last   time.Time
	times  []time.Time     // when messages came
	longer []time.Duration // of at least a millisecond
}

func watchGaps(r *running, from message.URL) (*gaps, func()) {
	g := &gaps{}
	stop := r.Watch(func(e trace.Event) {
		if e.Kind != trace.Deliver || e.From != from {
			return
		}
		now := time.Now()
		g.mu.Lock()
		defer g.mu.Unlock()
		if d := now.Sub(g.last); !g.last.IsZero() && d >= time.Millisecond {
			g.longer = append(g.longer, d)
		}
		g.last = now
		g.times = append(g.times, now)
	}, true)
	return g, stop
}

// flowed returns the share of the milliseconds of a time in which messages came: 1 where some came in each. The time must be
// after the last call of longest.
func (g *gaps) flowed(from, to time.Time) float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	came := map[time.Duration]bool{}
	for _, at := range g.times {
		if at.After(from) && at.Before(to) {
			came[at.Sub(from)/time.Millisecond] = true
		}
	}
	return float64(len(came)) / float64(to.Sub(from)/time.Millisecond+1)
}

// longest returns the longest gap since the last call.
func (g *gaps) longest() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.times = nil
	if len(g.longer) == 0 {
		return 0
	}
	d := slices.Max(g.longer)
	g.longer = nil
	return d
}

// A plug-in is replaced by a new process while messages flow both ways, on the side that requested the connection and on the
// other one: each message comes once and in order, none waits for long, and no process is left.
func TestReloadWhileMessagesFlow(t *testing.T) {
	t.Parallel()
	transport := oneTransport(t)
	t.Run(transport, func(t *testing.T) { t.Parallel(); reloadUnderTraffic(t, transport, transport, 2) })
	t.Run(nodeStub, func(t *testing.T) { t.Parallel(); reloadUnderTraffic(t, "", core.DefaultNodeStub, 2) })
}

const nodeStub = "the stub of the Message Node"

// The same with every transport, six times each.
func TestLongReloadWhileMessagesFlow(t *testing.T) {
	longtest.Skip(t)
	eachTransport(t, func(t *testing.T, transport string) { reloadUnderTraffic(t, transport, transport, 6) })
	t.Run(nodeStub, func(t *testing.T) { reloadUnderTraffic(t, "", core.DefaultNodeStub, 6) })
}

// longestPause is how long a message may wait because of a reload, on a machine without other work; on a busy one, the limit
// is twice as long as messages wait without a reload.
const longestPause = 500 * time.Millisecond

// leastFlow is the share of the time of a new process's start in which messages must come by the old process, in the best of
// the reloads: if they waited for the new process, the share would be about 0. On a machine that is so busy that the share is
// small without a reload too, the limit is a quarter of that.
const leastFlow = 0.15

func reloadUnderTraffic(t *testing.T, transport, plugin string, rounds int) {
	node := startNode(t, "example.com")
	var use []string
	if transport != "" {
		use = []string{transport}
	}
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, use: use})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, use: use})
	alice, bob := a.register("alice"), b.register("bob")
	r := reloading{t: t, transport: transport, plugin: plugin, flow: startTraffic(t, alice, bob, time.Millisecond), sides: [2]*running{a, b}}
	r.flow.flows(10)
	if transport != "" {
		a.until("direct connections", waitTime, func() bool { return a.isLive(b) && b.isLive(a) })
		r.sides[0], r.sides[1] = mutual(t, a, b)
	}
	var stop func()
	r.gaps[0], stop = watchGaps(a, bob.URL())
	defer stop()
	r.gaps[1], stop = watchGaps(b, alice.URL())
	defer stop()
	for try := range 3 {
		pause, may, flowed := r.play(rounds)
		least := min(leastFlow, r.usual/4)
		if pause <= may && flowed >= least {
			break
		}
		t.Logf("messages waited for %v, and came in %.2f of the time in which the new process was started", pause, flowed)
		if try == 2 {
			t.Errorf("messages waited for %v because of a reload, want at most %v; while the new process started they came in %.2f of that time, want %.2f",
				pause, may, flowed, least)
		}
	}
	r.flow.finish()
	for _, pid := range r.pids {
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("process %d is left", pid)
		}
	}
}

// reloading is a series of reloads of one plug-in under traffic.
type reloading struct {
	t                 *testing.T
	transport, plugin string
	flow              *traffic
	sides             [2]*running
	gaps              [2]*gaps
	pids              []int         // of the processes that were replaced
	busy              time.Duration // the longest pause without a reload
	usual             float64       // the smallest share of the time in which messages came, without a reload
}

// play reloads the plug-in, on one side after the other. While the new process starts, messages must go on by the old one. Of
// the worst reload it returns the longest pause and how long that may be; of the best one, the share of the time in which
// messages came.
func (r *reloading) play(rounds int) (longest, most time.Duration, flowed float64) {
	t, a, b := r.t, r.sides[0], r.sides[1]
	var pauses []time.Duration
	r.busy, r.usual = 0, 1
	for round := range rounds {
		side := r.sides[round%2]
		r.pause()
		quiet := time.Now()
		r.flow.flows(500)
		r.usual = min(r.usual, r.flowed(quiet, time.Now()))
		r.busy = max(r.busy, r.pause())
		before := side.pid(r.plugin)
		relayed := a.relayed(b) + b.relayed(a)
		r.pids = append(r.pids, before)
		began := time.Now()
		done, err := side.Reload(t.Context(), r.plugin, false)
		if err != nil {
			t.Fatalf("reload %d: %v", round, err)
		}
		meanwhile := r.flowed(began, began.Add(time.Duration(done.HandOver*float64(time.Second))))
		r.flow.flows(200)
		pause, may := r.pause(), longestPause+2*r.busy
		if pauses = append(pauses, pause); pause-may > longest-most || round == 0 {
			longest, most = pause, may
		}
		flowed = max(flowed, meanwhile)
		if !done.Running || done.OldPID != before || done.NewPID != side.pid(r.plugin) || done.NewPID == before || done.Cut != 0 {
			t.Errorf("round %d: %+v; process %d before, %d now", round, done, before, side.pid(r.plugin))
		}
		if r.transport != "" {
			mutual(t, a, b)
			if n := a.relayed(b) + b.relayed(a) - relayed; n > 0 {
				t.Errorf("round %d: %d messages left the direct path", round, n)
			}
		}
		t.Logf("round %d: handed over in %.0f ms, in %.2f of which messages came, drained in %.0f ms, longest pause %v", round, done.HandOver*1000, meanwhile, done.Drain*1000, pause)
	}
	slices.Sort(pauses)
	t.Logf("the longest pauses of %d reloads: median %v, max %v; between reloads: max %v", rounds, pauses[len(pauses)/2], pauses[len(pauses)-1], r.busy)
	return longest, most, flowed
}

// flowed returns the share of a time in which messages came, in both directions.
func (r *reloading) flowed(from, to time.Time) float64 {
	return min(r.gaps[0].flowed(from, to), r.gaps[1].flowed(from, to))
}

// pause returns the longest pause of both directions since the last call.
func (r *reloading) pause() time.Duration { return max(r.gaps[0].longest(), r.gaps[1].longest()) }

// relayed is how many messages to the other left over the Message Node.
func (r *running) relayed(other *running) int {
	return r.count(func(e trace.Event) bool {
		return e.Kind == trace.Forward && e.Peer == other.URL() && strings.Contains(string(e.Via), "/protostub/")
	})
}

// A plug-in is upgraded in the catalogue, as the command line does it: first with a program that does not match its
// descriptor, then with one that does not work, then with a good one.
func TestReloadOfAnUpgrade(t *testing.T) {
	t.Parallel()
	build(t)
	node := startNode(t, "example.com")
	name := built.transportIDs[0]
	plugins := shortDir(t)
	if err := os.CopyFS(plugins, os.DirFS(built.plugins)); err != nil {
		t.Fatal(err)
	}
	own := func(c *core.Config) { c.PluginDir = plugins }
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, use: []string{name}, change: own})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, use: []string{name}})
	alice, bob := a.register("alice"), b.register("bob")
	f := startTraffic(t, alice, bob, time.Millisecond)
	f.flows(10)
	a.until("direct connections", waitTime, func() bool { return a.isLive(b) && b.isLive(a) })
	before, door := a.pid(name), a.connections(b)[0].Door
	descriptor := filepath.Join(plugins, name+".json")
	good, err := os.ReadFile(descriptor)
	if err != nil {
		t.Fatal(err)
	}
	var d catalogue.Descriptor
	if err := json.Unmarshal(good, &d); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(plugins, d.Executable)
	binary, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	put := func(executable string, text []byte, sum string) {
		t.Helper()
		d.Executable, d.SHA256 = executable, sum
		entry, err := json.Marshal(d)
		err = errors.Join(err, os.WriteFile(filepath.Join(plugins, executable), text, 0o755), os.WriteFile(descriptor, entry, 0o644))
		if err != nil {
			t.Fatal(err)
		}
	}
	sum := func(text []byte) string {
		s := sha256.Sum256(text)
		return hex.EncodeToString(s[:])
	}
	upgraded := append(slices.Clone(binary), "what follows the program is nobody's"...)
	broken := []byte("#!/bin/sh\nexit 9\n")
	for what, says := range map[string]string{"evil": "not the file that was installed", "broken": "exit status 9"} {
		if what == "broken" {
			put(what, broken, sum(broken))
		} else {
			put(what, broken, sum(upgraded))
		}
		_, err := a.Reload(t.Context(), name, false)
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "goes on") {
			t.Errorf("%s: %v", what, err)
		}
		f.flows(100)
		if c := a.connections(b); a.pid(name) != before || c[0].Door != door || !a.isLive(b) {
			t.Errorf("%s: process %d after %d, connection %+v", what, a.pid(name), before, c)
		}
	}
	put("upgraded", upgraded, sum(upgraded))
	if _, err := a.Reload(t.Context(), name, false); err != nil {
		t.Fatal(err)
	}
	f.finish()
	mutual(t, a, b)
	now := a.pid(name)
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", now))
	if now == before || err == nil && filepath.Base(exe) != sum(upgraded) {
		t.Errorf("process %d after %d runs %s", now, before, exe)
	}
	if _, err := a.Reload(t.Context(), "frobnicate", false); err == nil || !strings.Contains(err.Error(), "no plug-in") {
		t.Errorf("a plug-in that is not installed: %v", err)
	}
}

// While the Message Node is away a connection itself carries the signalling for its successor.
func TestReloadWithoutTheMessageNode(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	name := built.transportIDs[0]
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, use: []string{name}})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, use: []string{name}})
	alice, bob := a.register("alice"), b.register("bob")
	f := startTraffic(t, alice, bob, time.Millisecond)
	f.flows(10)
	a.until("direct connections", waitTime, func() bool { return a.isLive(b) && b.isLive(a) })
	node.kill()
	for _, r := range []*running{a, b, a, b} {
		before := r.pid(name)
		done, err := r.Reload(t.Context(), name, false)
		if err != nil || done.Cut != 0 || r.pid(name) == before {
			t.Fatalf("%+v, %v", done, err)
		}
		mutual(t, a, b)
		f.flows(100)
	}
	f.finish()
	node.start()
}
