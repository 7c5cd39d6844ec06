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

// gaps measures how long nothing came from another runtime's hyperty, through what the core delivers.
type gaps struct {
	mu     sync.Mutex
	last   time.Time
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
	}, true)
	return g, stop
}

// longest is the longest gap since the last call.
func (g *gaps) longest() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.longer) == 0 {
		return 0
	}
	d := slices.Max(g.longer)
	g.longer = nil
	return d
}

// A plug-in is replaced by a new process while messages flow both ways, at the side that requested the connection and at
// the one that handles it: each message comes once and in order, nothing waits for long, and no process is left.
func TestReloadWhileMessagesFlow(t *testing.T) {
	t.Parallel()
	transport := oneTransport(t)
	t.Run(transport, func(t *testing.T) { t.Parallel(); reloadUnderTraffic(t, transport, transport, 2) })
	t.Run(nodeStub, func(t *testing.T) { t.Parallel(); reloadUnderTraffic(t, "", core.DefaultNodeStub, 2) })
}

const nodeStub = "the stub of the Message Node"

// The same with every transport, and six times.
func TestLongReloadWhileMessagesFlow(t *testing.T) {
	longtest.Skip(t)
	eachTransport(t, func(t *testing.T, transport string) { reloadUnderTraffic(t, transport, transport, 6) })
	t.Run(nodeStub, func(t *testing.T) { reloadUnderTraffic(t, "", core.DefaultNodeStub, 6) })
}

// longestPause is how long a message may wait because of a reload.
const longestPause = 500 * time.Millisecond

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
	for try := range 3 { // the machine may do something else meanwhile
		longest, busy := r.play(rounds)
		if longest <= longestPause+2*busy {
			break
		}
		t.Logf("messages waited for %v", longest)
		if try == 2 {
			t.Errorf("messages waited for %v, want at most %v, and twice the %v for which they wait without a reload", longest, longestPause, busy)
		}
	}
	r.flow.finish()
	for _, pid := range r.pids {
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("process %d is left", pid)
		}
	}
}

// reloading is the reloads of one plug-in under traffic.
type reloading struct {
	t                 *testing.T
	transport, plugin string
	flow              *traffic
	sides             [2]*running
	gaps              [2]*gaps
	pids              []int // of the processes that were replaced
}

// play reloads the plug-in, at one side after the other. It returns the longest pause, and the longest one while nothing
// was reloaded: then the machine did something else.
func (r *reloading) play(rounds int) (longest, busy time.Duration) {
	t, a, b := r.t, r.sides[0], r.sides[1]
	var pauses []time.Duration
	for round := range rounds {
		side := r.sides[round%2]
		r.pause()
		r.flow.flows(500)
		busy = max(busy, r.pause())
		before := side.pid(r.plugin)
		relayed := a.relayed(b) + b.relayed(a)
		r.pids = append(r.pids, before)
		done, err := side.Reload(t.Context(), r.plugin, false)
		if err != nil {
			t.Fatalf("reload %d: %v", round, err)
		}
		r.flow.flows(200)
		pauses = append(pauses, r.pause())
		if !done.Running || done.OldPID != before || done.NewPID != side.pid(r.plugin) || done.NewPID == before || done.Cut != 0 {
			t.Errorf("round %d: %+v; process %d before, %d now", round, done, before, side.pid(r.plugin))
		}
		if r.transport != "" {
			mutual(t, a, b)
			if n := a.relayed(b) + b.relayed(a) - relayed; n > 0 {
				t.Errorf("round %d: %d messages left the direct path", round, n)
			}
		}
		t.Logf("round %d: handed over in %.0f ms, drained in %.0f ms, longest pause %v", round, done.HandOver*1000, done.Drain*1000, pauses[round])
	}
	slices.Sort(pauses)
	longest = pauses[len(pauses)-1]
	t.Logf("the longest pauses of %d reloads: median %v, max %v; between reloads: max %v", rounds, pauses[len(pauses)/2], longest, busy)
	return longest, busy
}

// pause is the longest pause of both directions since the last call.
func (r *reloading) pause() time.Duration { return max(r.gaps[0].longest(), r.gaps[1].longest()) }

// relayed is how many messages for the other left over the Message Node.
func (r *running) relayed(other *running) int {
	return r.count(func(e trace.Event) bool {
		return e.Kind == trace.Forward && e.Peer == other.URL() && strings.Contains(string(e.Via), "/protostub/")
	})
}

// A plug-in that is upgraded in the catalogue, as the command line does it: first with a program that is not the one
// of its descriptor, then with one that does not work, then with a good one.
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

// While the Message Node is away the connection itself carries what sets up its successor.
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
